"""4 by 4 grids: rows, columns and boxes, missing digits, repeated digits.

random stream -> FactGroups

A grid with gaps is a puzzle, so it is shown only if it belongs to the training split; full grids
are not puzzles.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import permutations

from steiner.data.ordinary_text.generators import Fact, FactGroup, contextual, drills, join
from steiner.data.ordinary_text.train_problems import is_train
from steiner.tasks import load_phrases
from steiner.tasks.mini_sudoku import render_grid, render_row, verification

_FAMILY = "mini_sudoku"
_PHRASES = load_phrases(_FAMILY)
_LETTERS: Sequence[str] = _PHRASES.words["rows"]
DIGITS = (1, 2, 3, 4)
_CORNERS = (0, 2, 8, 10)

Cells = Sequence[int]


def facts(rng: random.Random) -> Iterator[FactGroup]:
    """FactGroups about single rows, columns and boxes, and about grids."""
    rows = drills(rng, {_lacks: 2.0, _could_be: 2, _is_filling: 1, _twice: 2, _cell: 1})
    grids = drills(rng, {_verify: 3.0, _set_row: 2})
    views = contextual(rng, {_views: 1.0})
    while True:
        yield next(rng.choice((rows, rows, grids, grids, views)))


def row_of(grid: Cells, letter: str) -> Cells:
    """Row A to D."""
    start = 4 * _LETTERS.index(letter)
    return grid[start : start + 4]


def column_of(grid: Cells, number: int) -> Cells:
    """Column `number` from 1."""
    return grid[number - 1 :: 4]


def box_of(grid: Cells, number: int) -> Cells:
    """Box `number` from 1: upper left, upper right, lower left, lower right."""
    corner = _CORNERS[number - 1]
    return [grid[corner + offset] for offset in (0, 1, 4, 5)]


def _shuffled(rng: random.Random) -> list[int]:
    return rng.sample(DIGITS, 4)


def _gapped(rng: random.Random) -> list[int]:
    """A row with one to three gaps."""
    row = _shuffled(rng)
    for index in rng.sample(range(4), rng.randint(1, 3)):
        row[index] = 0
    return row


def _missing(cells: Cells) -> list[int]:
    return [digit for digit in DIGITS if digit not in cells]


def _fillings(row: Cells) -> list[list[int]]:
    """The row with its missing digits in each order."""
    orders = map(iter, permutations(_missing(row)))
    return [[cell or next(order) for cell in row] for order in orders]


def _lacks(rng: random.Random) -> Fact:
    row = _gapped(rng)
    prompt = rng.choice(
        (f"Row {rng.choice(_LETTERS)} is {{}}. It lacks", "{} lacks", "Missing in {}:")
    )
    return prompt.format(render_row(row)), join(_missing(row))


def _could_be(rng: random.Random) -> Fact:
    row, letter = _gapped(rng), rng.choice(_LETTERS)
    fillings = _fillings(row)
    if len(fillings) <= 2 and rng.random() < 0.5:
        ways = " or ".join(map(render_row, fillings))
        return f"Row {letter} was {render_row(row)}. It can only be", ways
    filled = render_row(rng.choice(fillings))
    if rng.random() < 0.5:
        return f"Row {letter} was {render_row(row)}.", f"Row {letter} could be {filled}"
    return f"{letter} {render_row(row)} is", filled


def _is_filling(rng: random.Random) -> Fact:
    row = _gapped(rng)
    filled = rng.choice(_fillings(row)) if rng.random() < 0.5 else _shuffled(rng)
    fits = all(old in (0, new) for old, new in zip(row, filled, strict=True))
    return f"Does {render_row(filled)} fit {render_row(row)}?", "Yes" if fits else "No"


def _twice(rng: random.Random) -> Fact:
    cells = _shuffled(rng)
    if rng.random() < 0.6:
        source, place = rng.sample(range(4), 2)
        cells[place] = cells[source]
    unit, number = rng.choice(("Column", "Box")), rng.randint(1, 4)
    digit = _repeated(cells)
    reply = f"{unit} {number} has two {digit}" if digit else "No clash"
    return f"{unit} {number} is {render_row(cells)}.", reply


def _cell(rng: random.Random) -> Fact:
    row, column = _gapped(rng), _shuffled(rng)[: rng.randint(1, 2)]
    fitting = [digit for digit in _missing(row) if digit not in column]
    prompt = f"A gap in row {render_row(row)}, its column has {join(column)}. It can be"
    return prompt, join(fitting, " or ") or "nothing"


def _repeated(cells: Cells) -> int | None:
    return next((digit for digit in DIGITS if list(cells).count(digit) > 1), None)


def _full(rng: random.Random) -> list[int]:
    """Four rows without repetitions; often two rows or all four fit each other."""
    first, second = _shuffled(rng), _shuffled(rng)
    if rng.random() < 0.6:
        first, second = [1, 2, 3, 4], rng.choice(([3, 4, 1, 2], [4, 3, 2, 1], [3, 4, 2, 1]))
        third = rng.choice(([2, 1, 4, 3], [2, 4, 1, 3], _shuffled(rng)))
        fourth = rng.choice(([4, 3, 2, 1], [4, 3, 1, 2], _shuffled(rng)))
    else:
        third, fourth = _shuffled(rng), _shuffled(rng)
    names = dict(zip(DIGITS, _shuffled(rng), strict=True))
    return [names[digit] for digit in (*first, *second, *third, *fourth)]


def _grid(rng: random.Random, gaps: bool) -> list[int]:
    """A grid with empty rows, single empty cells, or none."""
    while True:
        grid = _full(rng)
        for number in rng.sample(DIGITS, rng.randint(1, 3) if gaps else 0):
            row = _gapped(rng) if rng.random() < 0.8 else [0] * 4
            grid[4 * number - 4 : 4 * number] = row
        if 0 not in grid or is_train(_FAMILY, {"grid": grid}):
            return grid


def _verify(rng: random.Random) -> Fact:
    """The task's words for a verification."""
    grid = _grid(rng, gaps=rng.random() < 0.6)
    summary = _PHRASES.render("summary", rows=render_grid(_PHRASES, grid))
    return f"{summary}.", verification(_PHRASES, tuple(grid))


def _open_rows(grid: Cells) -> list[str]:
    return [letter for letter in _LETTERS if 0 in row_of(grid, letter)]


def _set_row(rng: random.Random) -> Fact:
    while True:
        grid, place, row = _grid(rng, gaps=True), rng.randrange(4), _shuffled(rng)
        after = [*grid[: 4 * place], *row, *grid[4 * place + 4 :]]
        if 0 not in after or is_train(_FAMILY, {"grid": after}):
            break
    letter = _LETTERS[place]
    change = f"{letter} {render_row(row_of(grid, letter))} is {render_row(row)}"
    summary = _PHRASES.render("summary", rows=render_grid(_PHRASES, after))
    return f"{render_grid(_PHRASES, grid)}: {change}.", summary


def _views(rng: random.Random) -> FactGroup:
    grid = _grid(rng, gaps=rng.random() < 0.7)
    facts = [_view(rng, grid) for _ in range(rng.randint(3, 6))]
    return FactGroup(tuple(facts), f"Grid {render_grid(_PHRASES, grid)}")


def _view(rng: random.Random, grid: Cells) -> Fact:
    unit, number = rng.choice(("Row", "Column", "Box")), rng.randint(1, 4)
    name = f"{unit} {_LETTERS[number - 1] if unit == 'Row' else number}"
    if unit == "Row":
        cells = row_of(grid, _LETTERS[number - 1])
    else:
        cells = (column_of if unit == "Column" else box_of)(grid, number)
    style = rng.randrange(4)
    if style == 0:
        return f"{name} lacks", join(_missing(cells)) or "nothing"
    if style == 1:
        digit = _repeated(cells)
        return f"Has {name[0].lower()}{name[1:]} a digit twice?", f"Yes, {digit}" if digit else "No"
    return f"{name} is", render_row(cells)
