"""Mini sudoku: rows to fill, clashes, and problems that are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from steiner.types import StepTexts, Verdict
from tests.puzzles import is_right, problem_of, puzzle

SUDOKU = puzzle("mini_sudoku")
GRID = [1, 0, 3, 0, 0, 4, 0, 2, 2, 0, 4, 0, 0, 3, 0, 1]
SPEC = {"grid": GRID}
PROBLEM = problem_of("mini_sudoku", SPEC)
ANSWER = "1 2 3 4 / 3 4 1 2 / 2 1 4 3 / 4 3 2 1"


def test_rows_with_at_most_two_empty_cells_are_filled_first() -> None:
    two_gaps, three_gaps, full = (1, 0, 3, 0), (0, 4, 0, 0), (2, 1, 4, 3)
    actions = [move.action for move in SUDOKU.moves(SPEC, (*three_gaps, *two_gaps, *full, *full))]
    assert actions == []  # column 1 has two 2
    state = (*three_gaps, *two_gaps, *full, 0, 0, 0, 0)
    actions = [move.action for move in SUDOKU.moves(SPEC, state)]
    assert actions == [("row", 2, 1, 2, 3, 4), ("row", 2, 1, 4, 3, 2)]
    state = (*three_gaps, 1, 2, 3, 4, *full, 0, 0, 0, 0)
    rows = [move.action[1] for move in SUDOKU.moves(SPEC, state)]
    assert (rows.count(1), rows.count(4), len(rows)) == (6, 24, 30)


def test_rows_may_have_letters_and_be_separated_by_new_lines() -> None:
    lettered = "A 1 2 3 4 / B 3 4 1 2 / C 2 1 4 3 / D 4 3 2 1"
    for answer in (ANSWER, lettered):
        assert is_right(PROBLEM, answer)
        assert is_right(PROBLEM, answer.replace(" / ", "\n"))


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER.replace(" ", ""),
        ANSWER[:-1],
        "A 1 2 3 4 / B 3 4 1 2 / D 2 1 4 3 / C 4 3 2 1",
        ANSWER.replace("4", "_"),
        "1 2 3 4 / 3 4 1 2 / 2 3 4 1 / 4 1 2 3",  # a full grid, but not of these givens
        "2 1 4 3 / 3 4 1 2 / 1 2 3 4 / 4 3 2 1",
    ],
)
def test_near_misses_are_not_right(answer: str) -> None:
    assert not is_right(PROBLEM, answer)


def test_columns_and_boxes_show_dead_ends() -> None:
    texts = StepTexts(
        "Step 1, A 1 _ 3 _ / B _ 4 _ 2 / C 2 _ 4 _ / D _ 3 _ 1: A 1 _ 3 _ is 1 4 3 2",
        "Row A lacks 2 4",
        "Grid A 1 4 3 2 / B _ 4 _ 2 / C 2 _ 4 _ / D _ 3 _ 1",
        "Columns 1 _ 2 _ | 4 4 _ 3, two 4",
    )
    reading = SUDOKU.read_step(PROBLEM, texts)
    assert reading.before == tuple(GRID)
    assert reading.verdict is Verdict.DEAD
    facts = {
        "Columns 1 _ 2 _ | 4 4 _ 3, two 4": True,
        "Columns 1 _ 2 _ | 4 4 _ 3, two 3": False,
        "Columns 1 _ 2 _ | 4 _ _ 3, two 4": False,
        "Columns 1 _ 2 _ | 4 4 _ 3 | 3 _ 4 _, two 4": False,
        "Columns 1 _ 2 _, two 4": False,
        "Columns 1 _ 2 _ | 4 4 _ 3. No clash, open rows B C D": False,
        "No clash, the grid is full": False,
    }
    for fact, sound in facts.items():
        changed = StepTexts(texts.next_step, texts.understanding, texts.summary, fact)
        assert SUDOKU.read_step(PROBLEM, changed).sound == sound


def test_a_false_start_or_understanding_changes_the_reading() -> None:
    texts = StepTexts(
        "Step 1, A 1 _ 3 _ / B _ 4 _ 2 / C 2 _ 4 _ / D _ 3 _ 1: A 1 _ 3 _ is 1 2 3 4",
        "Row A lacks 2 4",
        "Grid A 1 2 3 4 / B _ 4 _ 2 / C 2 _ 4 _ / D _ 3 _ 1",
        "Columns 1 _ 2 _ | 2 4 _ 3 | 3 _ 4 _ | 4 2 _ 1. "
        "Boxes 1 2 _ 4 | 3 4 _ 2 | 2 _ _ 3 | 4 _ _ 1. No clash, open rows B C D",
    )
    reading = SUDOKU.read_step(PROBLEM, texts)
    assert (reading.before, reading.sound) == (tuple(GRID), True)
    for false in (
        texts.next_step.replace("D _ 3 _ 1", "D _ 3 _ _"),
        texts.next_step.replace("D _ 3 _ 1", "D _ 3 _"),
        texts.next_step.replace("D _", "C _"),
        texts.next_step.replace("A ", ""),
    ):
        changed = replace(texts, next_step=false)
        assert SUDOKU.read_step(PROBLEM, changed).before != reading.before
    for false in (": A 1 _ _ _ is", ": A 1 3 is", ": B 1 _ 3 _ is"):
        changed = replace(texts, next_step=texts.next_step.replace(": A 1 _ 3 _ is", false))
        assert not SUDOKU.read_step(PROBLEM, changed).sound
    for false in ("Row A lacks 4 2", "Row A lacks 2", "Row B lacks 2 4", "Row A lacks", ""):
        changed = replace(texts, understanding=false)
        assert SUDOKU.read_step(PROBLEM, changed) == replace(reading, sound=False)


def test_a_grid_that_contradicts_itself_is_read_as_such() -> None:
    line = "Sudoku A 1 1 3 _ / B _ 4 _ 2 / C 2 _ 4 _ / D _ 3 _ 1"
    spec = SUDOKU.read_question(line, "en")
    assert spec is not None
    assert spec["no_answer"] == "no_solution"
    texts = SUDOKU.reading(problem_of("mini_sudoku", spec))
    assert (texts.understanding, texts.verification) == (line, "Row A, two 1")


@pytest.mark.parametrize("rows", ["1 _ 3 _", "A 1 _ 3 _ / B _ 4 _ 2", "A 1 _ 3 5 / B _ 4 _ 2", "9"])
def test_lines_that_state_no_grid_are_not_read(rows: str) -> None:
    assert SUDOKU.read_question(f"Sudoku {rows}", "en") is None
