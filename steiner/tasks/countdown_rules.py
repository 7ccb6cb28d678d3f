"""Rules of countdown: which equations two numbers allow, and what all numbers can make.

State -> Moves, results
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache, lru_cache

from steiner.tasks.protocols import Move
from steiner.types import Action, State

MAX_RESULT = 99
"""The largest number that an equation may make."""


@cache
def moves_from(state: State) -> tuple[Move, ...]:
    """The moves that replace two of the numbers by a result, each equation once."""
    found: dict[Action, Move] = {}
    for i, left in enumerate(state):
        for j in range(i + 1, len(state)):
            rest = state[:i] + state[i + 1 : j] + state[j + 1 :]
            for action, result in pair_actions(left, state[j]):
                if action not in found:
                    after = tuple(sorted((*rest, result), reverse=True))
                    found[action] = Move(action, after)
    return tuple(found.values())


@cache
def pair_actions(left: int, right: int) -> tuple[tuple[Action, int], ...]:
    """Actions on two numbers, left >= right, with their results."""
    results = ((op, apply_operator(op, left, right)) for op in "+-*/")
    return tuple(((op, left, right), result) for op, result in results if result is not None)


def apply_operator(operator: str, left: int, right: int) -> int | None:
    """The result; None if it is not a whole number from 1 to MAX_RESULT."""
    if operator == "+":
        result = left + right
    elif operator == "-":
        result = left - right
    elif operator == "*":
        result = left * right
    elif right == 0 or left % right:
        return None
    else:
        result = left // right
    return result if 1 <= result <= MAX_RESULT else None


def last_action(state: State, target: int) -> Action | None:
    """The first action that turns two numbers into the target."""
    pairs = pair_actions(*state)
    return next((action for action, result in pairs if result == target), None)


@lru_cache(1 << 14)
def reachable(state: State) -> frozenset[int]:
    """All results of combining all numbers of `state`."""
    if len(state) == 1:
        return frozenset(state)
    return frozenset().union(*(reachable(move.state) for move in moves_from(state)))


def random_result(rng: random.Random, numbers: Sequence[int]) -> int | None:
    """The result of a random walk that uses all numbers; None if the walk cannot go on."""
    state = tuple(numbers)
    while len(state) > 1:
        moves = moves_from(state)
        if not moves:
            return None
        state = rng.choice(moves).state
    return int(state[0])
