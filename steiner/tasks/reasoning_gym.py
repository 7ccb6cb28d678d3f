"""Adapters to reasoning-gym's data sets of the same names: their items as our problems, and grades
by their own scorers.

reasoning-gym metadata -> Spec;  our answer -> the scorer's notation -> Grade

The scorers give partial credit: only a score of 1.0 counts as right. They see only the notation
written here (moves, roles, digits), never the model's raw text, so they cannot be made to hang.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from steiner.tasks import countdown, jugs, knights_knaves, mini_sudoku
from steiner.tasks.countdown_answers import read_equations
from steiner.tasks.countdown_rules import MAX_RESULT
from steiner.tasks.jugs_rules import JUGS
from steiner.tasks.knights_knaves_logic import UNKNOWN, as_claim
from steiner.tasks.knights_knaves_statements import split
from steiner.tasks.mini_sudoku_grids import num_solutions, rows_of
from steiner.tasks.phrases import phrases_of
from steiner.tasks.protocols import Grade, grade_of
from steiner.types import Problem, Spec

SIZE = 100_000
"""Items of a data set; they are generated one by one."""


@dataclass(frozen=True, slots=True)
class GymAdapter:
    """The correspondence between one of our tasks and reasoning-gym's data set of that name."""

    settings: Mapping[int, Mapping[str, int]]
    """Our level -> the data set's settings, as close to the level as they come."""
    spec: Callable[[Mapping[str, Any]], Spec | None]
    """An item's metadata -> Spec; None if our task cannot state the item."""
    notation: Callable[[Problem, str], str]
    """Our answer in the scorer's notation, content unchanged; empty if unreadable."""


@dataclass(frozen=True, slots=True)
class GymGrader:
    """Grades answers to one reasoning-gym item with reasoning-gym's own scorer."""

    item: Mapping[str, Any]

    def grade(self, problem: Problem, answer: str) -> Grade:
        """RIGHT if the scorer gives 1.0."""
        text = ADAPTERS[problem.family].notation(problem, answer)
        if not text:
            return Grade.UNREADABLE
        return grade_of(data_set(problem.family, 0).score_answer(text, self.item) == 1.0)


@cache
def data_set(name: str, seed: int, **settings: int) -> Any:
    """reasoning-gym's data set `name` with SIZE items."""
    import reasoning_gym

    return reasoning_gym.create_dataset(name, seed=seed, size=SIZE, **settings)


def _countdown_settings(count: int, largest: int) -> dict[str, int]:
    numbers = {"min_numbers": count, "max_numbers": count, "max_value": largest}
    return numbers | {"min_target": 1, "max_target": MAX_RESULT}


def _countdown_spec(metadata: Mapping[str, Any]) -> Spec | None:
    numbers, target = metadata["numbers"], metadata["target"]
    if not 3 <= len(numbers) <= 6 or not 1 <= target <= MAX_RESULT:
        return None
    if min(numbers) < 1 or max(numbers) > MAX_RESULT:
        return None
    return {"numbers": sorted(numbers, reverse=True), "target": target}


def _countdown_notation(problem: Problem, answer: str) -> str:
    """The equations nested into one expression."""
    held = [(str(n), n) for n in problem.spec["numbers"]]
    for left, operator, right, result in read_equations(answer) or ():
        terms = []
        for operand in (left, right):
            index = next((i for i, (_, n) in enumerate(held) if n == operand), None)
            if index is None:
                return ""
            terms.append(held.pop(index)[0])
        held.append((f"({terms[0]} {operator} {terms[1]})", result))
    return str(held[0][0]) if len(held) == 1 else ""


def _jugs_spec(metadata: Mapping[str, Any]) -> Spec | None:
    puzzle = metadata["puzzle"]
    capacities, max_moves = puzzle["jug_capacities"], puzzle["min_moves"]
    if not 2 <= len(capacities) <= len(JUGS) or max_moves > jugs.MAX_MOVES:
        return None
    return {"capacities": capacities, "target": puzzle["target"], "max_moves": max_moves}


def _jugs_notation(problem: Problem, answer: str) -> str:
    actions = jugs.read_actions(phrases_of(problem), answer)
    if actions is None:
        return ""
    return json.dumps([f"{name} {'->'.join(moved)}" for name, *moved in actions])


def _knights_spec(metadata: Mapping[str, Any]) -> Spec | None:
    """Items whose statements are all equivalent to claims about others; `terms` keeps the item's
    own words for knight and knave."""
    names, statements = metadata["names"], metadata["statements"]
    if not 3 <= len(names) <= 6:
        return None
    claims = [as_claim(len(names), *statement) for statement in enumerate(statements)]
    terms = [metadata["knight_knave_terms"][role] for role in ("a_knight", "a_knave")]
    if None in claims:
        return None
    return {"names": list(names), "says": [list(c) for c in claims if c], "terms": terms}


def _knights_notation(problem: Problem, answer: str) -> str:
    spec, phrases = problem.spec, phrases_of(problem)
    roles = knights_knaves.read_people(spec, phrases, split(phrases, answer.strip()))
    if roles is None or UNKNOWN in roles:
        return ""
    a_knight, a_knave = spec.get("terms", ("a knight", "a knave"))
    pairs = zip(spec["names"], roles, strict=True)
    return ", ".join(f"{who} is {a_knight if role else a_knave}" for who, role in pairs)


def _sudoku_spec(metadata: Mapping[str, Any]) -> Spec | None:
    grid = [cell for row in metadata["puzzle"] for cell in row]
    return {"grid": grid} if 0 in grid and num_solutions(grid) == 1 else None


def _sudoku_notation(problem: Problem, answer: str) -> str:
    grid = mini_sudoku.read_grid(phrases_of(problem), answer.strip())
    return "\n".join(map(mini_sudoku.render_row, rows_of(grid))) if grid else ""


ADAPTERS: Mapping[str, GymAdapter] = {
    "countdown": GymAdapter(
        {level: _countdown_settings(*numbers) for level, numbers in countdown.LEVELS.items()},
        _countdown_spec,
        _countdown_notation,
    ),
    "knights_knaves": GymAdapter(
        {level: {"n_people": count} for level, count in knights_knaves.LEVELS.items()},
        _knights_spec,
        _knights_notation,
    ),
    "mini_sudoku": GymAdapter(
        {
            level: {"min_empty": fewest, "max_empty": most}
            for level, (fewest, most) in mini_sudoku.LEVELS.items()
        },
        _sudoku_spec,
        _sudoku_notation,
    ),
    "jugs": GymAdapter(
        {
            level: {"num_jugs": count, "difficulty": fewest + 1}
            for level, (count, _, fewest, _) in jugs.LEVELS.items()
            if count > 2  # reasoning-gym has three jugs or more
        },
        _jugs_spec,
        _jugs_notation,
    ),
}
"""Task name -> its adapter.

reasoning-gym's defaults are beyond a small model: countdown targets from 100 to 999 from up to six
numbers up to 100, sudokus with up to 12 empty cells, jugs that need ten moves or more.
"""
