"""Mini sudoku: rows to fill, clashes, ways to write a grid, and problems that are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from steiner.types import StepTexts, UserError, Verdict
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


@pytest.mark.parametrize(
    "typed",
    [
        "1 0 3 0\n0 4 0 2\n2 0 4 0\n0 3 0 1",
        "1.3. / .4.2 / 2.4. / .3.1",
        "1_3__4_22_4__3_1",
        "a 1_3_, b _4_2, c 2_4_, d _3_1",
        "A 1 _ 3 _\nB _ 4 _ 2\nC 2 _ 4 _\nD _ 3 _ 1",
    ],
)
def test_grids_may_be_typed_in_other_ways(typed: str) -> None:
    assert SUDOKU.recognise(f"Fill the 4 by 4 grid {typed} as a sudoku", "en") == SPEC


@pytest.mark.parametrize(
    "text",
    [
        "Please solve the sudoku 1 _ 3 _ / _ 4 _ 2 / 2 _ 4 _ / _ 3 _ 1.",
        "My puzzle:\n1.3.\n.4.2\n2.4.\n.3.1\nThanks!",
        "A 1 _ 3 _ / B _ 4 _ 2 / C 2 _ 4 _ / D _ 3 _ 1: what is missing?",
    ],
)
def test_a_grid_is_found_in_a_text_of_any_words(text: str) -> None:
    assert SUDOKU.recognise(text, "en") == SPEC
    assert SUDOKU.recognise(text.replace("3", "5"), "en") is None


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
def test_problems_without_a_single_solution_are_errors(grid: str) -> None:
    with pytest.raises(UserError) as raised:
        SUDOKU.recognise(f"Fill the 4 by 4 grid {grid} as a sudoku.", "en")
    assert raised.value.hint


def test_other_questions_are_not_recognised() -> None:
    assert SUDOKU.recognise("Fill the 4 by 4 grid of my garden as a sudoku.", "en") is None
    assert SUDOKU.recognise("We have 1 2 3 4 / 2 1 4 3 and no more rows.", "en") is None
