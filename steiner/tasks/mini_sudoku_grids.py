"""4 by 4 sudoku grids: full grids, solutions and clashes.

grid -> rows, clash, number of solutions;  full grid -> puzzle with one solution

A grid is its 16 cells by rows, 0 where empty. A set of full grids is an int with one bit for each
of the 288, so sets combine with &.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache, lru_cache
from itertools import permutations
from operator import itemgetter

from steiner.types import State

GridRow = tuple[int, ...]

Clash = tuple[str, int, int]
"""`row`, `column` or `box`, its number from 1, and the digit that it contains twice."""

ROWS = tuple(("row", n + 1, itemgetter(*range(4 * n, 4 * n + 4))) for n in range(4))

COLUMNS = tuple(("column", n + 1, itemgetter(n, n + 4, n + 8, n + 12)) for n in range(4))
BOXES = tuple(
    ("box", n + 1, itemgetter(corner, corner + 1, corner + 4, corner + 5))
    for n, corner in enumerate((0, 2, 8, 10))
)


def rows_of(grid: Sequence[int]) -> list[GridRow]:
    """The grid's four rows."""
    return [tuple(grid[i : i + 4]) for i in range(0, 16, 4)]


@lru_cache(1 << 16)
def find_clash(state: State) -> Clash | None:
    """The first repeated digit: rows before columns before boxes."""
    for unit, number, cells in (*ROWS, *COLUMNS, *BOXES):
        digit = _repeated(cells(state))
        if digit is not None:
            return unit, number, digit
    return None


@cache
def _repeated(cells: GridRow) -> int | None:
    """The smallest digit that `cells` contain twice."""
    return next((digit for digit in range(1, 5) if cells.count(digit) > 1), None)


@cache
def fillings(row: GridRow) -> tuple[GridRow, ...]:
    """The row with its missing digits in each order."""
    missing = [digit for digit in range(1, 5) if digit not in row]
    orders = map(iter, permutations(missing))
    return tuple(tuple(cell or next(order) for cell in row) for order in orders)


@cache
def full_grids() -> tuple[State, ...]:
    """All 288 full grids without a clash."""
    grids: list[State] = [()]
    for _ in range(4):
        longer = ((*grid, *row) for grid in grids for row in permutations(range(1, 5)))
        grids = [grid for grid in longer if find_clash((*grid, *[0] * (16 - len(grid)))) is None]
    return tuple(grids)


def num_solutions(grid: Sequence[int]) -> int:
    """The number of full grids that agree with `grid`."""
    agreeing = _grids_with(0, 0)
    for cell, digit in enumerate(grid):
        if digit:
            agreeing &= _grids_with(cell, digit)
    return agreeing.bit_count()


@cache
def _grids_with(cell: int, digit: int) -> int:
    """The set of full grids with that digit in that cell; all of them for digit 0."""
    return sum(1 << i for i, grid in enumerate(full_grids()) if digit in (0, grid[cell]))


def remove_digits(rng: random.Random, full: State, num_empty: int) -> list[int]:
    """`full` with up to `num_empty` cells emptied in random order, as long as one solution is
    left."""
    grid = list(full)
    for cell in rng.sample(range(16), 16):
        digit, grid[cell] = grid[cell], 0
        if num_solutions(grid) > 1:
            grid[cell] = digit
        elif grid.count(0) == num_empty:
            break
    return grid
