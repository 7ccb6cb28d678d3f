"""Answers of plain text, and the training text of worked solutions."""

from __future__ import annotations

import pytest

from benchmarks.gsm8k import _teacher_chat, final_answer, solution_text
from steiner.questions.reading import Question
from steiner.teacher.steps import parse_reply


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("6 * 4 = 24\n#### 24", "24"),
        ("#### 1\nNo, again:\n#### 2", "2"),
        ("The total is 1,024 eggs, so the answer is 1,024.", "1,024"),
        ("It cannot be (A), so it is (C).", "(C)"),
        ("Ann lies. So Bob tells the truth: Yes.", "Yes"),
        ("nothing to read", ""),
        ("####", ""),
    ],
)
def test_the_answer_is_after_the_mark_or_the_last_one(text: str, answer: str) -> None:
    assert final_answer(text) == answer


def test_a_worked_solution_loses_its_calculator_marks() -> None:
    question = Question("How many?", "19", "4 boxes hold 4*6=<<4*6=24>>24.\n24-5=<<24-5=19>>19.")
    assert solution_text(question) == "4 boxes hold 4*6=24.\n24-5=19.\n#### 19"


def test_a_teacher_learns_the_form_that_its_replies_are_read_in() -> None:
    question = Question("How many?", "19", "4 boxes hold 4*6=<<4*6=24>>24.\n24-5=<<24-5=19>>19.")
    messages, reply = _teacher_chat(question)
    found = parse_reply(reply)
    assert found.answer == "19"
    assert len(found.steps) + messages[-1].content.count("Next step:") == 2
