"""The logic of knights and knaves: claims as sets of role assignments, solutions, clashes, moves.

claims -> the set of assignments that they allow -> solutions, clashes, moves

A set of assignments is an int in which bit i stands for assignment i; in assignment i, person p is
a knight if bit p of i is set. So sets combine with & and |.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, reduce
from itertools import permutations
from operator import and_, or_
from typing import Any

from steiner.tasks.protocols import Move
from steiner.types import Spec, State

Claim = tuple[Any, ...]
"""(kind, person) or (kind, person, person). The speaker is the claim's index in the puzzle."""

UNKNOWN = -1
"""The role of a person that a state does not know yet; 1 is a knight, 0 a knave."""

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
"""Kind -> its weight in generated problems, and a function to the set of assignments in which it is
true, from the sets in which the first and the second person mentioned are knights."""

OPPOSITES = {
    "knight": "knave",
    "knave": "knight",
    "same": "differ",
    "differ": "same",
    "both_knaves": "either_knight",
    "both_knights": "either_knave",
}
"""Kind -> the kind whose opposite it is, as people mean it: the opposite of `at least one lies` is
`both tell the truth`, but that of `both lie` might be the same."""

ALONE = ("knight", "knave")
"""Kinds that mention one person."""
_ORDERED = ("only", "if")
UNORDERED = tuple(kind for kind in KINDS if kind not in (*ALONE, *_ORDERED))
"""Kinds that mention two persons in any order."""
_WEIGHTS = tuple(weight for weight, _ in KINDS.values())


def says_of(spec: Spec) -> tuple[Claim, ...]:
    """Each person's claim."""
    return tuple(map(tuple, spec["says"]))


def random_claim(rng: random.Random, count: int, speaker: int) -> Claim:
    """A claim about one or two others, of a kind drawn by its weight."""
    (kind,) = rng.choices(tuple(KINDS), _WEIGHTS)
    others = [person for person in range(count) if person != speaker]
    return ordered((kind, *rng.sample(others, 1 if kind in ALONE else 2)))


def ordered(claim: Claim) -> Claim:
    """The claim with its persons in ascending order, if their order does not matter."""
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
    """The set of assignments in which the speaker is a knight exactly if the claim is true."""
    first, second = knights(count, claim[1]), knights(count, claim[-1])
    true = KINDS[claim[0]][1](first, second)
    return ~(knights(count, speaker) ^ true) & _everything(count)


@lru_cache(1 << 12)
def constraints(says: tuple[Claim, ...]) -> tuple[int, ...]:
    """For each speaker, the set of assignments that the claim allows."""
    return tuple(_allowed(len(says), speaker, claim) for speaker, claim in enumerate(says))


def solutions(says: tuple[Claim, ...]) -> int:
    """The set of assignments that all claims allow."""
    allowed = _everything(len(says))
    for speaker, claim in enumerate(says):
        allowed &= _allowed(len(says), speaker, claim)
    return allowed


@cache
def agreeing(state: State) -> int:
    """The set of assignments that agree with the roles known in `state`."""
    count, agreeing_so_far = len(state), _everything(len(state))
    for person, role in enumerate(state):
        if role != UNKNOWN:
            agreeing_so_far &= knights(count, person) if role else ~knights(count, person)
    return agreeing_so_far


def is_clash(says: tuple[Claim, ...], state: State, speaker: int) -> bool:
    """True if the speaker's claim fits the known roles under no assignment of the unknown ones."""
    return not constraints(says)[speaker] & agreeing(state)


def truth(says: tuple[Claim, ...], state: State, speaker: int) -> bool | None:
    """Truth of the speaker's claim by the known roles of others; None if they leave it open."""
    others = agreeing((*state[:speaker], UNKNOWN, *state[speaker + 1 :]))
    kind, first, *_, second = (*says[speaker], says[speaker][-1])
    count = len(state)
    true = KINDS[kind][1](knights(count, first), knights(count, second)) & others
    return bool(true) if true in (0, others) else None


def is_dead(says: tuple[Claim, ...], state: State) -> bool:
    """True if some claim cannot fit the known roles."""
    return any(is_clash(says, state, speaker) for speaker in range(len(says)))


@lru_cache(1 << 14)
def moves_from(says: tuple[Claim, ...], state: State) -> tuple[Move, ...]:
    """Deductions; if there are none, both roles of the first unknown person as suppositions."""
    if UNKNOWN not in state or is_dead(says, state):
        return ()
    return _deductions(says, state) or _suppositions(state)


def needs_one_supposition(says: tuple[Claim, ...]) -> bool:
    """True if all other roles, or a clash, follow by deduction from either role of the first
    person."""
    return all(
        _ends_by_deduction(says, move.state) for move in _suppositions((UNKNOWN,) * len(says))
    )


def _ends_by_deduction(says: tuple[Claim, ...], state: State) -> bool:
    while moves := moves_from(says, state):
        if not moves[0].certain:
            return False
        state = moves[0].state
    return True


def _deductions(says: tuple[Claim, ...], state: State) -> tuple[Move, ...]:
    """Roles that follow from one claim and the known roles.

    They are in the reverse order of the verification, so its last deduction comes first.
    """
    roles = [role for speaker in range(len(says)) for role in forced_roles(says, state, speaker)]
    return tuple(
        Move(("deduce", person, role), _with_role(state, person, role), certain=True)
        for person, role in dict.fromkeys(reversed(roles))
    )


def forced_roles(says: tuple[Claim, ...], state: State, speaker: int) -> list[tuple[int, int]]:
    """(person, role) of each unknown person in the claim, speaker included, who can have only that
    role if the claim fits the known roles."""
    possible = constraints(says)[speaker] & agreeing(state)
    if not possible:
        return []
    forced = []
    for person in dict.fromkeys((speaker, *says[speaker][1:])):
        as_knight = possible & knights(len(state), person)
        if state[person] == UNKNOWN and as_knight in (0, possible):
            forced.append((person, int(as_knight != 0)))
    return forced


def _suppositions(state: State) -> tuple[Move, ...]:
    """Both roles of the first unknown person."""
    person = state.index(UNKNOWN)
    return tuple(
        Move(("suppose", person, role), _with_role(state, person, role)) for role in (1, 0)
    )


def _with_role(state: State, person: int, role: int) -> State:
    return (*state[:person], role, *state[person + 1 :])


def as_claim(count: int, speaker: int, statement: Sequence[Any]) -> Claim | None:
    """The claim about others that allows the same assignments as reasoning-gym's `statement`; None
    if there is none."""
    true = _where_true(count, statement)
    allowed = ~(knights(count, speaker) ^ true) & _everything(count)
    return _speakable(count, speaker).get(allowed)


@cache
def _speakable(count: int, speaker: int) -> dict[int, Claim]:
    """All claims that the speaker could make, by the set of assignments that each allows."""
    others = [person for person in range(count) if person != speaker]
    claims: list[Claim] = [(kind, person) for kind in ALONE for person in others]
    pairs = list(permutations(others, 2))
    claims += [(kind, *pair) for kind in KINDS if kind not in ALONE for pair in pairs]
    return {_allowed(count, speaker, claim): ordered(claim) for claim in claims}


def _where_true(count: int, statement: Sequence[Any]) -> int:
    """The set of assignments in which a nested statement is true; bits beyond the last assignment
    have no meaning."""
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
