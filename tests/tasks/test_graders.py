"""The general graders accept the answer alone and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steiner.tasks import Grade, Grader
from steiner.tasks.graders import ExactText, MultipleChoice, Number
from steiner.types import Message, Problem, UserError

CASES: dict[str, tuple[Grader, Any, str]] = {
    "exact text": (ExactText(), "Mount Everest", "Is it Mount Everest, K2 or Mont Blanc?"),
    "number": (Number(), 42, "Is it 41, 42 or 43?"),
    "multiple choice": (MultipleChoice("ABC"), "B", "A: 41 B: 42 C: 43. Which is right?"),
}


def problem(answer: Any, question: str = "") -> Problem:
    return Problem("asked", "0" * 16, 1, "en", (Message("user", question),), {"answer": answer})


@pytest.mark.parametrize(("grader", "answer", "question"), CASES.values(), ids=CASES)
def test_the_answer_alone_is_right(grader: Grader, answer: Any, question: str) -> None:
    asked = problem(answer, question)
    for text in (str(answer), f" {answer}\n", f"{answer}."):
        assert grader.grade(asked, text) is Grade.RIGHT


@pytest.mark.parametrize(("grader", "answer", "question"), CASES.values(), ids=CASES)
def test_everything_around_the_answer_is_refused(
    grader: Grader, answer: Any, question: str
) -> None:
    asked = problem(answer, question)
    for text in (
        "",
        "  \n",
        ".",
        question,
        f"{question} {answer}",
        f"{answer} or something else",
        f"The answer is {answer}.",
        f"{answer} {answer}",
        f"{answer}, {answer}",
        "41, 42, 43",
        "A B C",
        "A, B or C",
        "Mount Everest, K2, Mont Blanc",
        f"not {answer}",
    ):
        assert grader.grade(asked, text) is not Grade.RIGHT, text


def test_exact_text_ignores_case_and_white_space_only() -> None:
    asked = problem("Mount Everest")
    assert ExactText().grade(asked, "mount   EVEREST") is Grade.RIGHT
    assert ExactText().grade(asked, "MountEverest") is Grade.WRONG
    assert ExactText().grade(asked, "") is Grade.UNREADABLE


@pytest.mark.parametrize("text", ["1000", "1,000", "1000.0", "1e3", "+1000", "$1,000"])
def test_a_number_may_be_written_in_several_ways(text: str) -> None:
    assert Number().grade(problem(1000), text) is Grade.RIGHT


@pytest.mark.parametrize(
    "text", ["1,00,0", "10,00", "1000 apples", "1000 1000", "inf", "nan", "1e999", "0x3e8", "²"]
)
def test_other_notations_are_unreadable(text: str) -> None:
    assert Number().grade(problem(1000), text) is Grade.UNREADABLE


def test_a_tolerance_is_absolute_and_includes_its_bound() -> None:
    within = Number(tolerance=0.5)
    assert within.grade(problem(10), "10.5") is Grade.RIGHT
    assert within.grade(problem(10), "10.6") is Grade.WRONG
    assert Number().grade(problem(10), "10.01") is Grade.WRONG


@pytest.mark.parametrize("text", ["B", "b", "(B)", "B)", "B."])
def test_a_choice_may_have_brackets(text: str) -> None:
    assert MultipleChoice().grade(problem("B"), text) is Grade.RIGHT


def test_a_letter_that_is_no_choice_is_unreadable() -> None:
    assert MultipleChoice("ABC").grade(problem("B"), "C") is Grade.WRONG
    assert MultipleChoice("ABC").grade(problem("B"), "D") is Grade.UNREADABLE


@pytest.mark.parametrize("grader", [Number(), MultipleChoice()])
def test_a_known_answer_of_the_wrong_kind_is_an_error_of_the_data(grader: Grader) -> None:
    with pytest.raises(UserError, match="cannot read the answer 'Mount Everest'"):
        grader.grade(problem("Mount Everest"), "42")


@pytest.mark.parametrize(("grader", "answer", "question"), CASES.values(), ids=CASES)
@given(text=st.text())
def test_any_text_gets_a_grade(grader: Grader, answer: Any, question: str, text: str) -> None:
    assert grader.grade(problem(answer, question), text) in Grade
