"""Every free-form question has a spec that holds, by brute force, and appears once."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

QUESTIONS = Path(__file__).parents[2] / "benchmarks" / "questions"
HALVES = ("development", "test")
FAMILIES = ("countdown", "knights_knaves", "mini_sudoku", "jugs")
KINDS: dict[str, Callable[[bool, bool], bool]] = {
    "knight": lambda i, j: i,
    "knave": lambda i, j: not i,
    "same": lambda i, j: i == j,
    "differ": lambda i, j: i != j,
    "either_knight": lambda i, j: i or j,
    "either_knave": lambda i, j: not (i and j),
    "both_knights": lambda i, j: i and j,
    "both_knaves": lambda i, j: not (i or j),
    "only": lambda i, j: i and not j,
    "if": lambda i, j: not i or j,
}


def _lines(half: str) -> list[dict[str, Any]]:
    text = (QUESTIONS / f"{half}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _specs(family: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Where each spec of a puzzle that has a solution is, its question and itself."""
    for half in HALVES:
        for number, line in enumerate(_lines(half), 1):
            if line["family"] == family and "no_answer" not in line["spec"]:
                yield f"{half}.jsonl:{number}", line["question"], line["spec"]


@pytest.mark.parametrize("half", HALVES)
def test_halves_have_the_same_mix(half: str) -> None:
    answers, others = Counter[str](), Counter[str]()
    for line in _lines(half):
        assert set(line) == {"family", "question", "spec"}
        reason = line["spec"].get("no_answer")
        assert reason in ((None, "no_solution", "missing"), ("unknown",))[line["family"] == "other"]
        (others if reason else answers)[line["family"]] += 1
    assert answers == dict.fromkeys(FAMILIES, 30)
    assert others == dict.fromkeys(FAMILIES, 3) | {"other": 12}


def test_no_question_and_no_spec_appears_twice() -> None:
    lines = [line for half in HALVES for line in _lines(half)]
    questions = Counter(" ".join(line["question"].lower().split()) for line in lines)
    specs = Counter(
        json.dumps(line["spec"], sort_keys=True)
        for line in lines
        if "no_answer" not in line["spec"]
    )
    assert max(questions.values()) == max(specs.values()) == 1


# ---------------------------------------------------------------------- countdown


def _reached(numbers: list[int]) -> set[int]:
    if len(numbers) == 1:
        return set(numbers)
    found = set()
    for i, j in itertools.permutations(range(len(numbers)), 2):
        a, b = numbers[i], numbers[j]
        rest = [number for k, number in enumerate(numbers) if k not in (i, j)]
        for result in (a + b, a - b, a * b, a // b if a % b == 0 else 0):
            if 1 <= result <= 99:
                found |= _reached([*rest, result])
    return found


def test_countdown_targets_can_be_reached() -> None:
    for where, _, spec in _specs("countdown"):
        numbers, target = spec["numbers"], spec["target"]
        assert len(numbers) in (3, 4), where
        assert numbers == sorted(numbers, reverse=True), where
        assert all(1 <= number <= 15 for number in numbers), where
        assert target in _reached(numbers), where


# ---------------------------------------------------------------------- knights and knaves


def test_knights_have_one_solution() -> None:
    for where, question, spec in _specs("knights_knaves"):
        names, says = spec["names"], spec["says"]
        assert len(says) == len(names) == len(set(names)), where
        assert len(names) in (3, 4), where
        for person, (kind, i, *j) in enumerate(says):
            assert person not in (i, *j), where
            assert len(j) == (kind not in ("knight", "knave")), where
            assert kind in ("only", "if") or [i, *j] == sorted({i, *j}), where
        solutions = [
            truthful
            for truthful in itertools.product((False, True), repeat=len(names))
            if all(
                truthful[person] == KINDS[kind](truthful[at[0]], truthful[at[-1]])
                for person, (kind, *at) in enumerate(says)
            )
        ]
        assert len(solutions) == 1, where
        nouns = [term.removeprefix("an ").removeprefix("a ") for term in spec["terms"]]
        assert all(word.lower() in question.lower() for word in (*names, *nouns)), where


# ---------------------------------------------------------------------- mini sudoku


def _meet(cell: int, other: int) -> bool:
    """Whether two cells of the grid share a row, a column or a box."""
    (row, column), (other_row, other_column) = divmod(cell, 4), divmod(other, 4)
    box, other_box = (row // 2, column // 2), (other_row // 2, other_column // 2)
    return row == other_row or column == other_column or box == other_box


def _completions(grid: list[int]) -> int:
    if 0 not in grid:
        return all(
            grid[a] != grid[b] for a, b in itertools.combinations(range(16), 2) if _meet(a, b)
        )
    cell = grid.index(0)
    taken = {digit for other, digit in enumerate(grid) if _meet(cell, other)}
    return sum(
        _completions([*grid[:cell], digit, *grid[cell + 1 :]]) for digit in {1, 2, 3, 4} - taken
    )


def test_sudokus_have_one_solution() -> None:
    for where, _, spec in _specs("mini_sudoku"):
        assert len(spec["grid"]) == 16, where
        assert 5 <= spec["grid"].count(0) <= 9, where
        assert _completions(spec["grid"]) == 1, where


# ---------------------------------------------------------------------- jugs


def _after_a_move(state: tuple[int, ...], sizes: list[int]) -> Iterator[tuple[int, ...]]:
    for i, j in itertools.product(range(len(sizes)), repeat=2):
        if i == j:
            yield (*state[:i], sizes[i], *state[i + 1 :])
            yield (*state[:i], 0, *state[i + 1 :])
        else:
            poured = min(state[i], sizes[j] - state[j])
            yield tuple(
                amount + poured * ((jug == j) - (jug == i)) for jug, amount in enumerate(state)
            )


def _fewest_moves(sizes: list[int], target: int) -> int:
    seen = edge = {(0,) * len(sizes)}
    for moves in itertools.count():
        assert edge, "no solution"
        if any(target in state for state in edge):
            return moves
        edge = {after for state in edge for after in _after_a_move(state, sizes)} - seen
        seen = seen | edge
    raise AssertionError


def test_jugs_have_a_solution_within_the_limit() -> None:
    for where, _, spec in _specs("jugs"):
        sizes, limit = spec["capacities"], spec["max_moves"]
        assert len(sizes) in (2, 3), where
        assert all(2 <= size <= 20 for size in sizes), where
        fewest = _fewest_moves(sizes, spec["target"])
        assert (4 if len(sizes) == 2 else 3) <= fewest <= 8, where
        assert limit is None or fewest <= limit <= fewest + 2, where
