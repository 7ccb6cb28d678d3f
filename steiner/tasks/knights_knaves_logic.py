"""What knights and knaves say of each other, as sets of assignments of their roles.

claims -> the set of assignments that they allow -> solutions, clashes

Such a set is an int with bit i for assignment i, in which person p is a knight where bit p of i is
set; so sets combine with & and |.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, reduce
from itertools import permutations
from operator import and_, or_
from typing import Any

from steiner.types import State

Claim = tuple[Any, ...]
"""(kind, index of a person) or (kind, index, index); the speaker is the claim's own place."""

UNKNOWN = -1
"""A person's role in a state that does not know it; 1 is a knight, 0 a knave."""

KINDS: dict[str, tuple[int, Callable[[int, int], int]]] = {
    "knight": (1, lambda first, _: first),
    "knave": (1, lambda first, _: ~first),
    "same": (6, lambda first, second: ~(first ^ second)),
    "differ": (6, lambda first, second: first ^ second),
    "either_knight": (3, lambda first, second: first | second),
    "either_knave": (3, lambda first, second: ~(first & second)),
    "both_knights": (1, lambda first, second: first & second),
    "both_knaves": (1, lambda first, second: ~(first | second)),
    "only": (1, lambda first, second: first & ~second),
    "if": (1, lambda first, second: ~first | second),
}
"""Kind -> its weight in generated problems, and where it is true, given where the persons that it
mentions are knights."""

ALONE = ("knight", "knave")
"""Kinds that mention one person."""
_ORDERED = ("only", "if")
_WEIGHTS = tuple(weight for weight, _ in KINDS.values())


def random_claim(rng: random.Random, count: int, speaker: int) -> Claim:
    """A claim about one or two others, of a kind drawn by its weight."""
    (kind,) = rng.choices(tuple(KINDS), _WEIGHTS)
    others = [person for person in range(count) if person != speaker]
    return ordered((kind, *rng.sample(others, 1 if kind in ALONE else 2)))


def ordered(claim: Claim) -> Claim:
    """The claim with its persons in ascending order, where their order does not matter."""
    return claim if claim[0] in _ORDERED else (claim[0], *sorted(claim[1:]))


@cache
def _everything(count: int) -> int:
    """The set of all assignments of roles to `count` persons."""
    return int((1 << (1 << count)) - 1)


@cache
def knights(count: int, person: int) -> int:
    """The set of assignments in which `person` is a knight."""
    return sum(1 << index for index in range(1 << count) if index >> person & 1)


@cache
def _allowed(count: int, speaker: int, claim: Claim) -> int:
    """The set of assignments in which the speaker is a knight just where the claim is true."""
    first, second = knights(count, claim[1]), knights(count, claim[-1])
    true = KINDS[claim[0]][1](first, second)
    return ~(knights(count, speaker) ^ true) & _everything(count)


@lru_cache(1 << 12)
def constraints(says: tuple[Claim, ...]) -> tuple[int, ...]:
    """What each speaker's claim allows, as a set of assignments."""
    return tuple(_allowed(len(says), speaker, claim) for speaker, claim in enumerate(says))


def solutions(says: tuple[Claim, ...]) -> int:
    """The set of assignments that all claims allow."""
    left = _everything(len(says))
    for speaker, claim in enumerate(says):
        left &= _allowed(len(says), speaker, claim)
    return left


@cache
def agreeing(state: State) -> int:
    """The set of assignments that agree with the roles known in `state`."""
    count, left = len(state), _everything(len(state))
    for person, role in enumerate(state):
        if role != UNKNOWN:
            left &= knights(count, person) if role else ~knights(count, person)
    return left


def is_clash(says: tuple[Claim, ...], state: State, speaker: int) -> bool:
    """Whether the speaker's claim cannot fit the known roles, whatever the unknown ones are."""
    return not constraints(says)[speaker] & agreeing(state)


def truth(says: tuple[Claim, ...], state: State, speaker: int) -> bool | None:
    """Whether the speaker's claim is true by the known roles of others; None where they leave it
    open."""
    others = agreeing((*state[:speaker], UNKNOWN, *state[speaker + 1 :]))
    kind, first, *_, second = (*says[speaker], says[speaker][-1])
    count = len(state)
    true = KINDS[kind][1](knights(count, first), knights(count, second)) & others
    return bool(true) if true in (0, others) else None


def as_claim(count: int, speaker: int, statement: Sequence[Any]) -> Claim | None:
    """The claim about others that allows the same assignments as reasoning-gym's `statement`."""
    true = _where_true(count, statement)
    allowed = ~(knights(count, speaker) ^ true) & _everything(count)
    return _speakable(count, speaker).get(allowed)


@cache
def _speakable(count: int, speaker: int) -> dict[int, Claim]:
    """Every claim that the speaker could make, by the set of assignments that it allows."""
    others = [person for person in range(count) if person != speaker]
    claims: list[Claim] = [(kind, person) for kind in ALONE for person in others]
    pairs = list(permutations(others, 2))
    claims += [(kind, *pair) for kind in KINDS if kind not in ALONE for pair in pairs]
    return {_allowed(count, speaker, claim): ordered(claim) for claim in claims}


def _where_true(count: int, statement: Sequence[Any]) -> int:
    """The assignments in which a nested statement holds (bits beyond the last assignment mean
    nothing)."""
    operator, *parts = statement
    if operator in ("telling-truth", "lying"):
        true = knights(count, parts[0])
        return true if operator == "telling-truth" else ~true
    masks = [_where_true(count, part) for part in parts]
    if operator == "not":
        return ~masks[0]
    if operator == "->":
        return ~masks[0] | masks[1]
    if operator == "<=>":
        return ~(masks[0] ^ masks[1])
    return reduce(and_ if operator == "and" else or_, masks)
