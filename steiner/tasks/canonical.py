"""Canonical forms of puzzles: isomorphic puzzles share one form, and so one key and one split.

claims of knights and knaves -> the smallest claims among all renumberings of the persons
4 by 4 grid -> the smallest grid among its symmetries, digits renamed in order of appearance
capacities, target -> sorted capacities and target without their common factor

Each form is the exact minimum over the whole symmetry group (up to 720 renumberings, 128 symmetries
of a grid). The search compares parts from left to right and drops whatever is larger already,
because generators ask for a form with every problem that they draw.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import product
from math import gcd
from operator import itemgetter

from steiner.tasks.knights_knaves_logic import Claim, ordered

Grid = tuple[int, ...]
"""16 cells by rows, 0 where empty."""


Numbering = Mapping[int, int]
"""Person -> new number, for the persons that have one so far."""


@lru_cache(1 << 16)
def canonical_claims(says: tuple[Claim, ...]) -> tuple[Claim, ...]:
    """`says` with the persons renumbered so that the tuple is the smallest.

    `says[p]` is the claim of person p. Equal for two puzzles exactly if one becomes the other by
    renaming and reordering the persons.
    """
    form: list[Claim] = []
    numberings: list[Numbering] = [{}]
    for number in range(len(says)):
        candidates = [
            candidate
            for numbering in numberings
            for person in _persons_for(number, numbering, len(says))
            for candidate in _claims_by(says[person], {**numbering, person: number}, len(says))
        ]
        smallest = min(claim for claim, _ in candidates)
        form.append(smallest)
        numberings = [numbering for claim, numbering in candidates if claim == smallest]
    return tuple(form)


def _persons_for(number: int, numbering: Numbering, count: int) -> Iterable[int]:
    """The person who has that number, or all persons without a number."""
    for person, taken in numbering.items():
        if taken == number:
            return (person,)
    return [person for person in range(count) if person not in numbering]


def _claims_by(claim: Claim, numbering: Numbering, count: int) -> Iterator[tuple[Claim, Numbering]]:
    """The smallest renumbered `claim`, with each numbering that leads to it.

    Mentioned persons without a number take the smallest free ones.
    """
    kind, *mentioned = claim
    new = [person for person in mentioned if person not in numbering]
    taken = set(numbering.values())
    free = [number for number in range(count) if number not in taken][: len(new)]
    orders = [new, new[::-1]] if len(new) == 2 and ordered((kind, 1, 0)) != (kind, 1, 0) else [new]
    for order in orders:
        extended = {**numbering, **dict(zip(order, free, strict=True))}
        yield ordered((kind, *(extended[person] for person in mentioned))), extended


@lru_cache(1 << 16)
def canonical_grid(grid: Grid) -> Grid:
    """The smallest grid among the 128 symmetries of `grid`, each with its digits renamed.

    The symmetries are those that keep rows, columns and boxes: transposition, and swaps of bands,
    stacks, rows within a band and columns within a stack (Russell and Jarvis, 2006, for 9 by 9).
    """
    smallest_row = min(_row_in_order(first(grid)) for first in _symmetries())
    return min(
        _digits_in_order(cells(grid))
        for first, symmetries in _symmetries().items()
        if _row_in_order(first(grid)) == smallest_row
        for cells in symmetries
    )


def _digits_in_order(grid: Grid) -> Grid:
    """`grid` with its digits renamed 1, 2, ... in the order in which they first appear."""
    names = {0: 0}
    return tuple(names.setdefault(digit, len(names)) for digit in grid)


@cache
def _row_in_order(row: Grid) -> Grid:
    """As `_digits_in_order`, for one of the 625 rows of four cells."""
    return _digits_in_order(row)


@cache
def _symmetries() -> Mapping[itemgetter[Grid], Sequence[itemgetter[Grid]]]:
    """The 128 symmetries as functions from grid to grid, by their functions to the first row."""
    by_first_row: dict[tuple[int, ...], list[itemgetter[Grid]]] = {}
    for rows, columns in product(_line_orders(), repeat=2):
        kept = [4 * row + column for row in rows for column in columns]
        transposed = [4 * row + column for column in columns for row in rows]
        for cells in (kept, transposed):
            by_first_row.setdefault(tuple(cells[:4]), []).append(itemgetter(*cells))
    return {itemgetter(*first): symmetries for first, symmetries in by_first_row.items()}


def _line_orders() -> Iterator[tuple[int, int, int, int]]:
    """The 8 orders of four rows that keep the two bands together."""
    for first, second in (((0, 1), (2, 3)), ((2, 3), (0, 1))):
        for a, b in product((first, first[::-1]), (second, second[::-1])):
            yield (*a, *b)


def canonical_jugs(capacities: Sequence[int], target: int) -> tuple[tuple[int, ...], int]:
    """Sorted capacities and target, divided by their common factor."""
    factor = gcd(*capacities, target)
    return tuple(sorted(size // factor for size in capacities)), target // factor
