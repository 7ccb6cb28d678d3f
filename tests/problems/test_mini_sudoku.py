"""Mini sudoku: rows to fill, clashes, ways to write a grid, and what cannot be posed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from steiner.problems import family, load_phrases
from steiner.types import StepTexts, UserError, Verdict

SUDOKU, PHRASES = family("mini_sudoku"), load_phrases("mini_sudoku")
GRID = [1, 0, 3, 0, 0, 4, 0, 2, 2, 0, 4, 0, 0, 3, 0, 1]
SPEC = {"grid": GRID}
ANSWER = "1 2 3 4 / 3 4 1 2 / 2 1 4 3 / 4 3 2 1"


def test_one_of_the_two_fullest_rows_is_filled_in_each_way() -> None:
    actions = [move.action for move in SUDOKU.moves(SPEC, tuple(GRID))]
    assert actions == [
        ("row", 1, 1, 2, 3, 4),
        ("row", 1, 1, 4, 3, 2),
        ("row", 2, 1, 4, 3, 2),
        ("row", 2, 3, 4, 1, 2),
    ]


def test_rows_may_be_separated_by_new_lines() -> None:
    assert SUDOKU.check(SPEC, PHRASES, ANSWER)
    assert SUDOKU.check(SPEC, PHRASES, ANSWER.replace(" / ", "\n"))


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER.replace(" ", ""),
        ANSWER[:-1],
        ANSWER.replace("4", "_"),
        "1 2 3 4 / 3 4 1 2 / 2 3 4 1 / 4 1 2 3",  # a full grid, but not of these givens
        "2 1 4 3 / 3 4 1 2 / 1 2 3 4 / 4 3 2 1",
    ],
)
def test_near_misses_are_refused(answer: str) -> None:
    assert not SUDOKU.check(SPEC, PHRASES, answer)


def test_columns_and_boxes_show_dead_ends() -> None:
    texts = StepTexts(
        "Step 1 in open rows 1 2 3 4: row 1 1 _ 3 _ is 1 4 3 2",
        "Row 1 lacks 2 4",
        "Grid 1 4 3 2 / _ 4 _ 2 / 2 _ 4 _ / _ 3 _ 1",
        "Columns 1 _ 2 _ | 4 4 _ 3, two 4",
    )
    reading = SUDOKU.read_step(SPEC, PHRASES, texts)
    assert reading.before == tuple(GRID)
    assert reading.verdict is Verdict.DEAD
    facts = {
        "Columns 1 _ 2 _ | 4 4 _ 3, two 4": True,
        "Columns 1 _ 2 _ | 4 4 _ 3, two 3": False,
        "Columns 1 _ 2 _ | 4 _ _ 3, two 4": False,
        "Columns 1 _ 2 _ | 4 4 _ 3 | 3 _ 4 _, two 4": False,
        "Columns 1 _ 2 _, two 4": False,
        "Columns 1 _ 2 _ | 4 4 _ 3. No clash, open rows 2 3 4": False,
        "No clash, the grid is full": False,
    }
    for fact, sound in facts.items():
        told = StepTexts(texts.next_step, texts.understanding, texts.summary, fact)
        assert SUDOKU.read_step(SPEC, PHRASES, told).sound == sound


def test_a_false_start_or_understanding_is_noticed() -> None:
    texts = StepTexts(
        "Step 1 in open rows 1 2 3 4: row 1 1 _ 3 _ is 1 2 3 4",
        "Row 1 lacks 2 4",
        "Grid 1 2 3 4 / _ 4 _ 2 / 2 _ 4 _ / _ 3 _ 1",
        "Columns 1 _ 2 _ | 2 4 _ 3 | 3 _ 4 _ | 4 2 _ 1. "
        "Boxes 1 2 _ 4 | 3 4 _ 2 | 2 _ _ 3 | 4 _ _ 1. No clash, open rows 2 3 4",
    )
    reading = SUDOKU.read_step(SPEC, PHRASES, texts)
    assert (reading.before, reading.sound) == (tuple(GRID), True)
    for false in (
        "Step 1 in open rows 2 3 4: row 1 1 _ 3 _ is 1 2 3 4",
        "Step 1 in open rows 1 2 3: row 1 1 _ 3 _ is 1 2 3 4",
        "Step 1 in open rows all: row 1 1 _ 3 _ is 1 2 3 4",
        "Step 1 in open rows 1 2 3 4: row 1 1 _ _ _ is 1 2 3 4",
        "Step 1 in open rows 1 2 3 4: row 1 1 3 is 1 2 3 4",
        "Step 1 in open rows 1 2 3 4: row 2 1 _ 3 _ is 1 2 3 4",
    ):
        told = replace(texts, next_step=false)
        assert SUDOKU.read_step(SPEC, PHRASES, told).before != reading.before
    for false in ("Row 1 lacks 4 2", "Row 1 lacks 2", "Row 2 lacks 2 4", "Row 1 lacks", ""):
        told = replace(texts, understanding=false)
        assert SUDOKU.read_step(SPEC, PHRASES, told) == replace(reading, sound=False)


@pytest.mark.parametrize(
    "typed",
    ["1 0 3 0\n0 4 0 2\n2 0 4 0\n0 3 0 1", "1.3. / .4.2 / 2.4. / .3.1", "1_3__4_22_4__3_1"],
)
def test_grids_may_be_typed_in_other_ways(typed: str) -> None:
    assert SUDOKU.recognise(PHRASES, f"Fill the 4 by 4 grid {typed} as a sudoku") == SPEC


@pytest.mark.parametrize(
    "grid",
    [
        "1 _ 3 _ / _ 4 _ 2",
        "1 _ 3 _ / _ 4 _ 2 / 2 _ 4 _ / _ 3 _ 9",
        "_ _ _ _ / _ _ _ _ / _ _ _ _ / _ _ _ _",
        "1 1 _ _ / _ _ _ _ / _ _ _ _ / _ _ _ _",
        ANSWER,
    ],
)
def test_what_cannot_be_posed_is_told(grid: str) -> None:
    with pytest.raises(UserError) as raised:
        SUDOKU.recognise(PHRASES, f"Fill the 4 by 4 grid {grid} as a sudoku.")
    assert raised.value.hint


def test_other_questions_are_not_recognised() -> None:
    assert SUDOKU.recognise(PHRASES, "Fill the 4 by 4 grid of my garden as a sudoku.") is None
