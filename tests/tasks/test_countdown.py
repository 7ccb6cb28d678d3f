"""Countdown: both notations of an answer, and problems that are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from steiner.types import StepTexts, Verdict
from tests.puzzles import is_right, problem_of, puzzle

COUNTDOWN = puzzle("countdown")
SPEC = {"numbers": [8, 3, 1], "target": 24}
PROBLEM = problem_of("countdown", SPEC)


@pytest.mark.parametrize("answer", ["8 * 3 = 24, 24 * 1 = 24", "8 * 3 * 1", "(8 / 1) * 3"])
def test_equations_and_expressions_are_right(answer: str) -> None:
    assert is_right(PROBLEM, answer)


@pytest.mark.parametrize(
    "answer",
    [
        "24",
        "8 * 3",  # leaves out the 1
        "8 * 3 * 1 * 1",
        "8 * 3 = 25, 25 - 1 = 24",  # false sum
        "8 * 3 = 24, 24 * 2 = 48",  # a number not given
        "24 * 1 = 24, 8 * 3 = 24",  # a number not yet made
        "8 * 3 * 1 = 24 = 24",
    ],
)
def test_near_misses_are_not_right(answer: str) -> None:
    assert not is_right(PROBLEM, answer)


@pytest.mark.parametrize(
    "line",
    [
        "Numbers 5, target 24",
        "Numbers 7 6 5 4 3 2 1, target 24",
        "Numbers 8 3 1, target twenty",
        "Numbers 8, 3, 1, target 24",
        "Numbers, target 24",
    ],
)
def test_lines_that_state_no_puzzle_are_not_read(line: str) -> None:
    assert COUNTDOWN.read_question(line, "en") is None


def test_a_target_out_of_reach_is_read_as_such() -> None:
    spec = COUNTDOWN.read_question("Numbers 2 2 1, target 90", "en")
    assert spec == {"numbers": [2, 2, 1], "target": 90, "no_answer": "no_solution"}


def test_a_false_result_is_unsound() -> None:
    texts = StepTexts(
        "Step 1 from 8 3 1: 8 * 3 = 24",
        "Left over 1",
        "Now we hold 24 1",
        "Target 24: 24 + 1 = 25 no, 24 - 1 = 23 no, 24 * 1 = 24 yes",
    )
    reading = COUNTDOWN.read_step(PROBLEM, texts)
    assert reading.sound
    assert reading.verdict is Verdict.GOAL
    for wrong in (
        replace(texts, next_step="Step 1 from 8 3 1: 8 * 3 = 25"),
        replace(texts, understanding="Left over 3"),
        replace(texts, verification="Target 24: 24 + 1 = 25 no, 24 - 1 = 24 yes"),
        replace(texts, verification="Target 24: 24 + 1 = 25 no, 24 * 1 = 24 yes"),
        replace(texts, verification="Target 25: 24 + 1 = 25 yes"),
        replace(texts, verification="Target 24: 24 + 1 = 25 no, 24 - 1 = 23 no. Dead end"),
        replace(texts, verification="3 numbers left, 24 not made yet"),
    ):
        assert not COUNTDOWN.read_step(PROBLEM, wrong).sound


@pytest.mark.parametrize("numbers", ["24", "0", "24 0", "1 24", ""])
def test_numbers_that_no_move_leads_to_are_unsound(numbers: str) -> None:
    texts = StepTexts(
        "Step 1 from 8 3 1: 8 * 3 = 24",
        "Left over 1",
        f"Now we hold {numbers}",
        "Target 24: 24 + 1 = 25 no, 24 - 1 = 23 no, 24 * 1 = 24 yes",
    )
    assert not COUNTDOWN.read_step(PROBLEM, texts).sound


def test_a_false_start_or_understanding_changes_the_reading() -> None:
    texts = StepTexts(
        "Step 1 from 9 5 5 1: 9 - 5 = 4",
        "Left over 5 1",
        "Now we hold 5 4 1",
        "3 numbers left, 24 not made yet",
    )
    reading = COUNTDOWN.read_step(PROBLEM, texts)
    assert reading.before == (9, 5, 5, 1)
    assert reading.sound
    for start in ("9 5 1", "9 5 1 5", "9 5 5 1 1", "9, 5, 5, 1", "9 5  5 1", "nine"):
        changed = replace(texts, next_step=f"Step 1 from {start}: 9 - 5 = 4")
        assert COUNTDOWN.read_step(PROBLEM, changed).before != reading.before
    for understanding in (
        "Left over 1",
        "Left over 1 5",
        "Left over 5 5 1",
        "Left over",
        "5 1",
        "",
    ):
        changed = replace(texts, understanding=understanding)
        assert COUNTDOWN.read_step(PROBLEM, changed) == replace(reading, sound=False)
