"""Isomorphic puzzles share a key, others do not, and no held-out problem has a twin in training."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import islice, permutations, product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steiner.randomness import random_stream
from steiner.tasks import generate_problems, make_problem, task, tasks
from steiner.tasks.canonical import canonical_claims, canonical_grid, canonical_jugs
from steiner.tasks.knights_knaves_logic import KINDS, Claim, ordered, random_claim
from steiner.types import Spec, Split

seeds = st.integers(0, 10**9)

Claims = tuple[Claim, ...]


def key(name: str, spec: Spec) -> str:
    return make_problem(name, spec).key


def a_problem(name: str, seed: int) -> tuple[random.Random, dict[str, Any]]:
    rng = random_stream("isomorphs", name, seed)
    level = rng.choice(list(tasks()[name].generator.levels))
    return rng, dict(tasks()[name].generator.generate(rng, level))


@given(seeds)
def test_countdown_under_order(seed: int) -> None:
    rng, spec = a_problem("countdown", seed)
    shuffled = rng.sample(spec["numbers"], len(spec["numbers"]))
    assert key("countdown", {**spec, "numbers": shuffled}) == key("countdown", spec)


@given(seeds)
def test_jugs_under_order_and_common_factor(seed: int) -> None:
    rng, spec = a_problem("jugs", seed)
    factor = rng.randint(1, 3)
    twin = {
        **spec,
        "capacities": [
            factor * size for size in rng.sample(spec["capacities"], len(spec["capacities"]))
        ],
        "target": factor * spec["target"],
    }
    assert key("jugs", twin) == key("jugs", spec)


@given(seeds)
def test_knights_and_knaves_under_renaming_and_order(seed: int) -> None:
    rng, spec = a_problem("knights_knaves", seed)
    count = len(spec["names"])
    new = rng.sample(range(count), count)
    says: list[list[Any]] = [[]] * count
    for person, (kind, *others) in enumerate(spec["says"]):
        says[new[person]] = [kind, *(new[other] for other in others)]
    twin = {"names": [f"Person {n}" for n in range(count)], "says": says}
    assert key("knights_knaves", twin) == key("knights_knaves", spec)


@given(seeds)
def test_mini_sudoku_under_symmetry_and_renaming(seed: int) -> None:
    rng, spec = a_problem("mini_sudoku", seed)
    grid = [spec["grid"][4 * row : 4 * row + 4] for row in range(4)]
    for _ in range(10):
        grid = rng.choice([_transposed, _bands_swapped, _rows_swapped, _renamed])(rng, grid)
    twin = {"grid": [cell for row in grid for cell in row]}
    assert key("mini_sudoku", twin) == key("mini_sudoku", spec)


Rows = Sequence[Sequence[int]]


def _transposed(rng: random.Random, grid: Rows) -> Rows:
    return [list(column) for column in zip(*grid, strict=True)]


def _bands_swapped(rng: random.Random, grid: Rows) -> Rows:
    return [*grid[2:], *grid[:2]]


def _rows_swapped(rng: random.Random, grid: Rows) -> Rows:
    return [grid[1], grid[0], grid[2], grid[3]]


def _renamed(rng: random.Random, grid: Rows) -> Rows:
    names = [0, *rng.sample(range(1, 5), 4)]
    return [[names[cell] for cell in row] for row in grid]


def _renumbered(says: Claims, new: Sequence[int]) -> Claims:
    claims: list[Claim] = [()] * len(says)
    for person, (kind, *others) in enumerate(says):
        claims[new[person]] = ordered((kind, *(new[other] for other in others)))
    return tuple(claims)


@given(seeds, st.integers(3, 5))
def test_the_form_of_claims_is_the_smallest_of_all_renumberings(seed: int, count: int) -> None:
    rng = random.Random(seed)
    says = tuple(random_claim(rng, count, person) for person in range(count))
    every = (_renumbered(says, new) for new in permutations(range(count)))
    assert canonical_claims(says) == min(every)


@given(st.tuples(*[st.integers(0, 4)] * 16))
def test_the_form_of_a_grid_is_the_smallest_of_all_symmetric_ones(grid: tuple[int, ...]) -> None:
    """All symmetries are found here by composing swaps, until no new grid appears."""
    rows = tuple(grid[i : i + 4] for i in range(0, 16, 4))
    found, queue = {rows}, [rows]
    for one in queue:
        for swap in (_transposed, _bands_swapped, _rows_swapped):
            other = tuple(map(tuple, swap(random.Random(), one)))
            if other not in found:
                found.add(other)
                queue.append(other)
    forms = []
    for one in found:
        cells = [cell for row in one for cell in row]
        names = {digit: i for i, digit in enumerate(dict.fromkeys(filter(None, cells)), 1)}
        forms.append(tuple(names.get(cell, 0) for cell in cells))
    assert canonical_grid(grid) == min(forms)


def test_forms_of_claims_are_as_many_as_classes() -> None:
    """Claims of three persons fall into as many forms as classes under all renumberings."""
    rng = random.Random(0)
    puzzles = {tuple(random_claim(rng, 3, person) for person in range(3)) for _ in range(300)}
    classes = {
        frozenset(_renumbered(says, new) for new in permutations(range(3))) for says in puzzles
    }
    assert len({canonical_claims(says) for says in puzzles}) == len(classes)
    assert len(classes) < len(puzzles)
    assert set(KINDS) >= {kind for says in puzzles for kind, *_ in says}


def test_unlike_grids_have_unlike_forms() -> None:
    """A full grid has one of two forms (96 and 192 of the 288); one empty cell keeps them apart."""
    full = [
        grid
        for grid in product(permutations(range(1, 5)), repeat=4)
        if all(len(set(column)) == 4 for column in zip(*grid, strict=True))
        and all(
            len({grid[r][c], grid[r][c + 1], grid[r + 1][c], grid[r + 1][c + 1]}) == 4
            for r in (0, 2)
            for c in (0, 2)
        )
    ]
    assert len(full) == 288
    forms = [canonical_grid(tuple(cell for row in grid for cell in row)) for grid in full]
    assert sorted(forms.count(form) for form in set(forms)) == [96, 192]


def test_jugs_without_a_common_factor_stay_apart() -> None:
    assert canonical_jugs([6, 10], 4) == ((3, 5), 2) == canonical_jugs([5, 3], 2)
    assert canonical_jugs([3, 5], 4) != canonical_jugs([3, 5], 2)


@pytest.mark.parametrize("name", ["countdown", "jugs", "knights_knaves", "mini_sudoku"])
def test_no_held_out_problem_has_a_twin_in_training(name: str) -> None:
    """Keys differ between splits, and each problem of a split is another one up to isomorphism."""
    drawn = {
        split: [p.key for p in islice(generate_problems(name, 2, seed=0, split=split), 60)]
        for split in Split
    }
    keys = [key for some in drawn.values() for key in some]
    assert len(set(keys)) == len(keys)
    assert all(len(some) == 60 for some in drawn.values())


LEVELS = [
    (name, level)
    for name in ("countdown", "jugs", "knights_knaves", "mini_sudoku")
    for level in task(name).generator.levels
]
FEWER = {("mini_sudoku", 4): 60}
"""Only about 1,200 grids with 9 to 12 empty cells have one solution, up to symmetry."""


@pytest.mark.parametrize(("name", "level"), LEVELS)
def test_each_level_has_enough_test_problems(name: str, level: int) -> None:
    enough = FEWER.get((name, level), 100)
    problems = generate_problems(name, level, seed=0, split=Split.TEST)
    assert len(list(islice(problems, enough))) == enough
