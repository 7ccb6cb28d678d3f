"""Canonical forms of puzzles: isomorphic puzzles share one form, and so one key and one split.

claims of knights and knaves -> claims under the smallest renumbering of the persons
4 by 4 grid -> the smallest grid among its symmetries, digits renamed in order of appearance
capacities, target -> sorted capacities and target without their common factor

Each form is the minimum over the whole symmetry group, found by enumeration: at most 720
renumberings of six persons and 128 symmetries of a grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import permutations, product
from math import gcd
from operator import itemgetter

from steiner.tasks.knights_knaves_logic import Claim, ordered

Grid = tuple[int, ...]
"""16 cells by rows, 0 where empty."""


@lru_cache(1 << 16)
def canonical_claims(says: tuple[Claim, ...]) -> tuple[Claim, ...]:
    """`says` with the persons renumbered so that the tuple is the smallest.

    `says[p]` is the claim of person p. Equal for two puzzles exactly if one becomes the other by
    renaming and reordering the persons.
    """
    return min(_renumbered(says, new) for new in permutations(range(len(says))))


def _renumbered(says: Sequence[Claim], new: Sequence[int]) -> tuple[Claim, ...]:
    """`says` after person p has become person `new[p]`."""
    claims: list[Claim] = [()] * len(says)
    for person, (kind, *mentioned) in enumerate(says):
        claims[new[person]] = ordered((kind, *(new[other] for other in mentioned)))
    return tuple(claims)


@lru_cache(1 << 16)
def canonical_grid(grid: Grid) -> Grid:
    """The smallest grid among the 128 symmetries of `grid`, each with its digits renamed.

    The symmetries are those that keep rows, columns and boxes: transposition, and swaps of bands,
    stacks, rows within a band and columns within a stack (Russell and Jarvis, 2006, for 9 by 9).
    """
    return min(_digits_in_order(cells(grid)) for cells in _symmetries())


def _digits_in_order(grid: Grid) -> Grid:
    """`grid` with its digits renamed 1, 2, ... in the order in which they first appear."""
    names = {0: 0}
    return tuple(names.setdefault(digit, len(names)) for digit in grid)


@cache
def _symmetries() -> tuple[itemgetter[Grid], ...]:
    """One cell permutation for each symmetry, as a function from grid to grid."""
    cells = []
    for rows, columns in product(_line_orders(), repeat=2):
        kept = [4 * row + column for row in rows for column in columns]
        transposed = [4 * row + column for column in columns for row in rows]
        cells += [itemgetter(*kept), itemgetter(*transposed)]
    return tuple(cells)


def _line_orders() -> Iterator[tuple[int, int, int, int]]:
    """The 8 orders of four rows that keep the two bands together."""
    for first, second in (((0, 1), (2, 3)), ((2, 3), (0, 1))):
        for a, b in product((first, first[::-1]), (second, second[::-1])):
            yield (*a, *b)


def canonical_jugs(capacities: Sequence[int], target: int) -> tuple[tuple[int, ...], int]:
    """Sorted capacities and target, divided by their common factor."""
    factor = gcd(*capacities, target)
    return tuple(sorted(size // factor for size in capacities)), target // factor
