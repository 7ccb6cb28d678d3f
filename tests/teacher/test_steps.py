"""Replies of a teacher and worked solutions, as steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steiner.teacher.steps import (
    Solution,
    arithmetic,
    bare_answer,
    fault_of,
    parse_correction,
    parse_reply,
    render,
    value_of,
    worked_solution,
)
from steiner.types import StepTexts

WORDS = st.text("abc 12", min_size=1).map(lambda t: " ".join(t.split())).filter(bool)
STEPS = st.lists(st.builds(StepTexts, WORDS, WORDS, WORDS, WORDS), min_size=1, max_size=5)


@given(STEPS, WORDS)
def test_rendered_steps_are_read_back(steps: list[StepTexts], answer: str) -> None:
    found = parse_reply(f"{render(steps)}\n\nAnswer: {answer}")
    assert found == Solution(tuple(steps), bare_answer(answer))


@pytest.mark.parametrize(
    "text",
    [
        "**Next step:** a\n**Understanding:** b\n**Summary:** c\n**Check:** d\n\n**Answer:** 5.",
        "1. Next step: a\n   Understanding: b\n   Summary: c\n   Check: d\nAnswer: \\boxed{5}",
        "Next step: a\nUnderstanding: b\nSummary: c\nCheck: d\n\nFinal answer: 5",
        "Sure!\n\nNEXT STEP: a\nunderstanding: b\nSummary: c\nCheck: d\n\nAnswer: 5",
    ],
)
def test_other_layouts_are_read(text: str) -> None:
    assert parse_reply(text) == Solution((StepTexts("a", "b", "c", "d"),), "5")


@pytest.mark.parametrize("text", ["", "I like trains.", "Next step: a\nSummary: c\nCheck: d"])
def test_other_texts_have_no_steps(text: str) -> None:
    assert parse_reply(text).steps == ()


def test_a_cut_reply_keeps_its_whole_steps_and_has_no_answer() -> None:
    text = "Next step: a\nUnderstanding: b\nSummary: c\nCheck: d\n\nNext step: e\nUnderst"
    assert parse_reply(text) == Solution((StepTexts("a", "b", "c", "d"),), "")


def test_worked_solutions_become_checked_steps() -> None:
    found = worked_solution("She has 3*4=<<3*4=12>>12 eggs.\nSo 12-2=<<12-2=10>>10 are left.", "10")
    assert [step.next_step for step in found.steps] == ["Compute 3*4", "Compute 12-2"]
    assert found.steps[1].understanding == "Known so far: She has 3*4=12 eggs"
    assert found.steps[1].verification == "12-2 = 10, right."


def test_sums_in_plain_worked_solutions_are_checked_too() -> None:
    text = "She bought 3 x 4 = 12 eggs at $0.25.\nShe pays 12*$0.25=$3 for them.\nThat is cheap."
    steps = worked_solution(text, "3").steps
    assert [step.next_step for step in steps] == [
        "Compute 3 * 4",
        "Compute 12*0.25",
        "State what follows",
    ]
    assert steps[1].verification == "12*0.25 = 3, right."


@pytest.mark.parametrize(
    ("summaries", "answer", "fault"),
    [
        (("3 * 4 = 12", "12 - 2 = 10"), "10", ""),
        (("3 * 4 = 12", "so 1,000 of 4 kinds are left"), "1000", ""),
        (("10 / 3 = 3.33",), "3.33", ""),
        (("3 * 4 = 7 + 5 = 12",), "12", ""),
        (("3 * 4 = 13", "13 - 3 = 10"), "10", "solutions with a false sum"),
        (("6 x 5 = $200, right",), "200", "solutions with a false sum"),
        (("3 * 4 = 12",), "10", "solutions whose last step has another result"),
        (("Ann lies", "Bob lies"), "Ann, Bob", ""),
    ],
)
def test_faults_of_solutions(summaries: tuple[str, ...], answer: str, fault: str) -> None:
    steps = tuple(StepTexts("a", "b", summary, "d") for summary in summaries)
    assert fault_of(Solution(steps, answer)) == fault


def test_a_false_equation_drops_the_solution() -> None:
    assert worked_solution("She has <<3*4=13>>13 eggs.", "13").steps == ()


@pytest.mark.parametrize(
    ("summary", "value"),
    [
        ("3 + 4 = 7", "7"),
        ("It costs $1,250.50.", "1250.5"),
        ("none", ""),
        ("so -3.0", "-3"),
        ("The last has 500*0.25=125 more than those 5", "125"),
        ("3 + 4 = 7, then 7 * $2 = $14 for 2 people", "14"),
    ],
)
def test_the_value_is_the_last_result_or_else_the_last_number(summary: str, value: str) -> None:
    assert value_of(summary) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("(2+3)*4", 20), ("7/2", 3.5), ("1,000-1", 999), ("1/0", None), ("x+1", None), ("9**9", None)],
)
def test_arithmetic(text: str, value: float | None) -> None:
    assert arithmetic(text) == value


@given(STEPS)
def test_a_correction_has_a_sentence_and_steps(steps: list[StepTexts]) -> None:
    text = f"The sum is too large. Add again.\n\n{render(steps)}\n\nAnswer: 7"
    assert parse_correction(text) == ("The sum is too large.", Solution(tuple(steps), "7"))
    assert parse_correction(render(steps)) == ("", Solution(tuple(steps)))
    assert parse_correction("Too large.") == ("Too large.", Solution(()))
