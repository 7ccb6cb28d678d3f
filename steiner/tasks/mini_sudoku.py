"""Mini sudoku: fill a 4 by 4 grid so that no row, column or box repeats a digit from 1 to 4.

A state is the 16 cells by rows, 0 where empty; rows have letters, so that a text can point at one.
A move fills one whole row, in any order of its missing digits: one with at most two empty cells, or
any where there is no such row. A set of full grids is an int with a bit for each of the 288.
Twin of reasoning-gym's `mini_sudoku`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import permutations
from operator import itemgetter

from steiner.tasks.canonical import canonical_grid
from steiner.tasks.phrases import Phrases, load_phrases, phrases_of
from steiner.tasks.protocols import Grade, Move, StepReading, Task, grade_of
from steiner.types import Action, Problem, Spec, State, StepTexts, UserError, Verdict

LEVELS = {1: (6, 8), 2: (8, 10), 3: (9, 12)}
"""Level -> the fewest and the most empty cells. Up to symmetry, 2,808, 2,125 and about
1,200 such grids have one solution; 124, 103 and 62 of them are in the test split."""

_FEW = 2
"""Empty cells of a row that is filled before others."""
_COLUMNS = tuple(("column", n + 1, itemgetter(n, n + 4, n + 8, n + 12)) for n in range(4))
_BOXES = tuple(
    ("box", n + 1, itemgetter(corner, corner + 1, corner + 4, corner + 5))
    for n, corner in enumerate((0, 2, 8, 10))
)

Row = tuple[int, ...]
Clash = tuple[str, int, int]
"""column or box, its number from 1, and the digit that it has twice."""


class MiniSudoku:
    """Grids with exactly one solution."""

    name = "mini_sudoku"
    levels = range(1, 4)

    def generate(self, rng: random.Random, level: int) -> Spec:
        num_empty = rng.randint(*LEVELS[level])
        while True:
            grid = _emptied(rng, rng.choice(_full_grids()), num_empty)
            if grid.count(0) == num_empty:
                return {"grid": grid}

    def canonical_text(self, spec: Spec) -> str:
        return "".join(map(str, canonical_grid(tuple(spec["grid"]))))

    def start(self, spec: Spec) -> State:
        return tuple(spec["grid"])

    def moves(self, spec: Spec, state: State) -> Sequence[Move]:
        return _moves(state)

    def verdict(self, spec: Spec, state: State) -> Verdict:
        if _clash(state) is not None:
            return Verdict.DEAD
        return Verdict.OPEN if 0 in state else Verdict.GOAL

    def step_texts(self, problem: Problem, depth: int, before: State, move: Move) -> StepTexts:
        phrases = phrases_of(problem)
        _, row, *digits = move.action
        old, letter = rows_of(before)[row - 1], _letter(phrases, row)
        told = {"rows": render_grid(phrases, before), "row": letter, "cells": render_row(old)}
        return StepTexts(
            phrases.render("next_step", depth=depth, **told, digits=render_row(digits)),
            _render_lacking(phrases, row, old),
            phrases.render("summary", rows=render_grid(phrases, move.state)),
            verification(phrases, move.state),
        )

    def read_step(self, problem: Problem, texts: StepTexts) -> StepReading:
        phrases = phrases_of(problem)
        depth, before, action, old = _read_next_step(phrases, texts.next_step)
        after = _read_summary(phrases, texts.summary)
        verdict, sound = _read_verification(phrases, texts.verification, after)
        if action and before:
            there = rows_of(before)[action[1] - 1]
            lacking = _render_lacking(phrases, action[1], there)
            sound = sound and old == there and texts.understanding.strip() == lacking
        return StepReading(depth, action, before, after, verdict, sound)

    def num_wordings(self, language: str) -> int:
        return len(load_phrases(self.name, language).questions)

    def question(self, spec: Spec, language: str, wording: int) -> str:
        phrases = load_phrases(self.name, language)
        rows, grid = render_grid(phrases, spec["grid"]), _render_plain(spec["grid"])
        return phrases.questions[wording].format(rows=rows, grid=grid)

    def recognise(self, text: str, language: str) -> Spec | None:
        phrases = load_phrases(self.name, language)
        endings = (text, *(text.rstrip(" \n.?!") + end for end in ".?"))
        found = next(filter(None, map(phrases.match_question, endings)), None)
        grid_text = "".join(found.values()) if found else _find_grid(phrases, text)
        typed = _unlabelled(phrases, grid_text)
        if not typed or re.search(r"[^\d_.,;/| ]", typed):
            return None
        cells = re.sub(r"[,;/| ]", "", typed)
        if not re.fullmatch(r"[0-4_.]{16}", cells):
            raise UserError(
                f"a mini sudoku has 16 cells, each 1 to 4 or _, not '{typed}'",
                "for example: A _ 2 _ 4 / B 3 _ 1 _ / C _ 1 _ 3 / D 4 _ 2 _",
            )
        grid = [int(cell) if cell.isdecimal() else 0 for cell in cells]
        _require_one_solution(grid)
        return {"grid": grid}

    def answer(self, problem: Problem, branch: Sequence[tuple[State, Move]]) -> str:
        phrases = phrases_of(problem)
        return render_grid(phrases, branch[-1][1].state)

    def grade(self, problem: Problem, answer: str) -> Grade:
        return grade_of(self._is_right(problem, answer))

    def _is_right(self, problem: Problem, answer: str) -> bool | None:
        """Whether `answer` is the full grid; None if it is no grid."""
        spec, phrases = problem.spec, phrases_of(problem)
        grid = read_grid(phrases, answer.strip().replace("\n", " / "))
        if grid is None:
            return None
        if grid not in _full_grids():
            return False
        return all(given in (0, cell) for given, cell in zip(spec["grid"], grid, strict=True))


def verification(phrases: Phrases, grid: State) -> str:
    """The columns and boxes of `grid` one by one, up to the first that has a digit twice."""
    clash = _clash(grid)
    last, number, digit = clash or ("", 4, 0)
    shown = {
        "columns": [cells(grid) for _, _, cells in _COLUMNS],
        "boxes": [cells(grid) for _, _, cells in _BOXES],
    }
    if last == "column":
        shown["columns"] = shown["columns"][:number]
    elif last == "box":
        shown["boxes"] = shown["boxes"][:number]
    told = {name: " | ".join(map(render_row, units)) for name, units in shown.items()}
    if clash:
        return phrases.render(last, **told, digit=digit)
    return phrases.render(
        "open" if 0 in grid else "goal", **told, open_rows=_open_rows(phrases, grid)
    )


def rows_of(grid: Sequence[int]) -> list[Row]:
    """The four rows."""
    return [tuple(grid[i : i + 4]) for i in range(0, 16, 4)]


def _emptied(rng: random.Random, full: State, num_empty: int) -> list[int]:
    """`full` with up to `num_empty` cells taken away, so long as one solution is left."""
    grid = list(full)
    for cell in rng.sample(range(16), 16):
        digit, grid[cell] = grid[cell], 0
        if _fitting(grid).bit_count() > 1:
            grid[cell] = digit
        elif grid.count(0) == num_empty:
            break
    return grid


@cache
def _full_grids() -> tuple[State, ...]:
    """All 288 full grids without a clash."""
    grids: list[State] = [()]
    for _ in range(4):
        longer = ((*grid, *row) for grid in grids for row in permutations(range(1, 5)))
        grids = [
            grid for grid in longer if _clash((*grid, *(0 for _ in range(16 - len(grid))))) is None
        ]
    return tuple(grids)


@cache
def _having(cell: int, digit: int) -> int:
    """The set of full grids with that digit in that cell; all of them for digit 0."""
    return sum(1 << i for i, grid in enumerate(_full_grids()) if digit in (0, grid[cell]))


def _fitting(grid: Sequence[int]) -> int:
    """The set of full grids that agree with `grid`."""
    left = _having(0, 0)
    for cell, digit in enumerate(grid):
        if digit:
            left &= _having(cell, digit)
    return left


def num_solutions(grid: Sequence[int]) -> int:
    """How many full grids agree with `grid`."""
    return _fitting(grid).bit_count()


def _require_one_solution(grid: Sequence[int]) -> None:
    """Raises UserError where the grid is full, or has no solution or several."""
    if 0 not in grid:
        raise UserError("the grid has no empty cell", "write _ for each cell to fill")
    solutions = num_solutions(grid)
    if solutions != 1:
        hint = "give more digits" if solutions else "look for a digit twice in a row, column or box"
        raise UserError(f"the grid has {solutions or 'no'} solutions, not one", hint)


@cache
def _repeated(cells: Row) -> int | None:
    """The smallest digit that stands there twice."""
    return next((digit for digit in range(1, 5) if cells.count(digit) > 1), None)


@lru_cache(1 << 16)
def _clash(state: State) -> Clash | None:
    """The first repeated digit, columns before boxes; rows never have one."""
    for unit, number, cells in (*_COLUMNS, *_BOXES):
        digit = _repeated(cells(state))
        if digit is not None:
            return unit, number, digit
    return None


@lru_cache(1 << 14)
def _moves(state: State) -> tuple[Move, ...]:
    if 0 not in state or _clash(state) is not None:
        return ()
    rows = rows_of(state)
    open_rows = [i for i in range(4) if 0 in rows[i]]
    nearly_full = [i for i in open_rows if rows[i].count(0) <= _FEW]
    return tuple(
        Move(("row", i + 1, *filled), (*state[: 4 * i], *filled, *state[4 * i + 4 :]))
        for i in nearly_full or open_rows
        for filled in _fillings(rows[i])
    )


@cache
def _fillings(row: Row) -> tuple[Row, ...]:
    """The row with its missing digits in each order."""
    missing = [digit for digit in range(1, 5) if digit not in row]
    orders = map(iter, permutations(missing))
    return tuple(tuple(cell or next(order) for cell in row) for order in orders)


def _letter(phrases: Phrases, number: int) -> str:
    """What row `number`, from 1, is called."""
    return str(phrases.words["rows"][number - 1])


def _open_rows(phrases: Phrases, state: State) -> str:
    """The letters of the rows with a gap: `A C D`."""
    return " ".join(_letter(phrases, n) for n, row in enumerate(rows_of(state), 1) if 0 in row)


def render_row(row: Sequence[int]) -> str:
    """`1 _ 3 4`."""
    return " ".join(str(cell or "_") for cell in row)


def render_grid(phrases: Phrases, grid: Sequence[int]) -> str:
    """`A 1 _ 3 4 / B ...`."""
    rows = enumerate(rows_of(grid), 1)
    return " / ".join(f"{_letter(phrases, number)} {render_row(row)}" for number, row in rows)


def _render_plain(grid: Sequence[int]) -> str:
    return " / ".join(map(render_row, rows_of(grid)))


def _find_grid(phrases: Phrases, text: str) -> str:
    """Four rows of four cells that stand in a text of any words, parted by strokes, semicolons or
    line ends; empty where there are none, or more."""
    cell, gap = "[0-4_.]", "[, ]*"
    row = rf"(?<![\w.])(?:[{''.join(phrases.words['rows'])}] +)?{cell}(?:{gap}{cell}){{3}}(?!\w)"
    found = re.findall(r"\s*[/|;\n]\s*".join([row] * 4), text)
    return " ".join(found[0].split()) if len(found) == 1 else ""


def _unlabelled(phrases: Phrases, text: str) -> str:
    """The text of a grid without the letters of its rows, where it has all of them, each before its
    row."""
    letters = phrases.words["rows"]
    found = re.fullmatch(
        "".join(rf"{letter} +([^A-Za-z]*)" for letter in letters), text, re.IGNORECASE
    )
    return "".join(found.groups()) if found else text


def read_grid(phrases: Phrases, text: str) -> State | None:
    """The 16 cells of a grid with or without row letters; None if `text` is no grid."""
    return _read_grid(_unlabelled(phrases, text))


def _read_row(text: str) -> Row | None:
    if not re.fullmatch(r"[1-4_]( [1-4_]){3}", text):
        return None
    return tuple(0 if cell == "_" else int(cell) for cell in text.split())


def _read_grid(text: str) -> State | None:
    rows = [_read_row(row) for row in text.split(" / ")]
    if len(rows) != 4 or None in rows:
        return None
    return tuple(cell for row in rows if row for cell in row)


def _render_lacking(phrases: Phrases, number: int, row: Row) -> str:
    missing = " ".join(str(digit) for digit in range(1, 5) if digit not in row)
    return phrases.render("understanding", row=_letter(phrases, number), missing=missing)


def _read_next_step(
    phrases: Phrases, text: str
) -> tuple[int | None, State | None, Action | None, Row | None]:
    """Depth, the grid before, action, and what stood in the row so far."""
    found = phrases.match(text, "next_step")
    if found is None or not re.fullmatch(r"\d{1,4}", found[1]["depth"]):
        return None, None, None, None
    told = found[1]
    depth, before = int(told["depth"]), _read_labelled(phrases, told["rows"])
    letter, digits = told["row"], _read_row(told["digits"])
    if digits is None or letter not in phrases.words["rows"]:
        return depth, before, None, None
    number = phrases.words["rows"].index(letter) + 1
    return depth, before, ("row", number, *digits), _read_row(told["cells"])


def _read_labelled(phrases: Phrases, text: str) -> State | None:
    """A grid written just as `render_grid` does."""
    grid = _read_grid(_unlabelled(phrases, text))
    return grid if grid and render_grid(phrases, grid) == text else None


def _read_summary(phrases: Phrases, text: str) -> State | None:
    found = phrases.match(text, "summary")
    return _read_labelled(phrases, found[1]["rows"]) if found else None


def _read_verification(
    phrases: Phrases, text: str, after: State | None
) -> tuple[Verdict | None, bool]:
    found = phrases.match(text, "open", "goal", "box", "column")
    if found is None or after is None:
        return None, False
    verdict = {"open": Verdict.OPEN, "goal": Verdict.GOAL}.get(found[0], Verdict.DEAD)
    return verdict, text.strip() == verification(phrases, after)


TASK = Task.of_family(MiniSudoku())
