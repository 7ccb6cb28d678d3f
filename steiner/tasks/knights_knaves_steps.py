"""Steps of knights and knaves in words: the known roles, what a step supposes or deduces, and the
claims that it checks. Writes them and reads them back.

Spec, state <-> text
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from steiner.tasks.knights_knaves_logic import (
    UNKNOWN,
    forced_roles,
    is_clash,
    is_dead,
    says_of,
    truth,
)
from steiner.tasks.knights_knaves_statements import render_claim
from steiner.tasks.phrases import Phrases
from steiner.types import Action, Spec, State


def render_next_step(
    spec: Spec, phrases: Phrases, depth: int, before: State, action: Action
) -> str:
    """`Step 2 with Ann knight, Bob unknown: so Bob is a knave`."""
    kind, *person_and_role = action
    role = _render_role(spec, phrases, *person_and_role)
    return phrases.render(kind, depth=depth, state=render_state(spec, phrases, before), role=role)


def read_next_step(
    spec: Spec, phrases: Phrases, text: str
) -> tuple[int | None, State | None, Action | None]:
    """Depth, the state before, action."""
    found = phrases.match(text, "suppose", "deduce")
    if found is None or not re.fullmatch(r"\d{1,4}", found[1]["depth"]):
        return None, None, None
    kind, fields = found
    depth, before = int(fields["depth"]), read_state(spec, phrases, fields["state"])
    roles = _read_roles(spec, phrases, [fields["role"]])
    if roles is None:
        return depth, before, None
    person = next(person for person, role in enumerate(roles) if role != UNKNOWN)
    return depth, before, (kind, person, roles[person])


def render_state(spec: Spec, phrases: Phrases, state: State) -> str:
    """`Ann knight, Bob unknown, Cid knave`."""
    return ", ".join(_known(spec, phrases, state, person) for person in range(len(state)))


def read_state(spec: Spec, phrases: Phrases, text: str) -> State | None:
    """The inverse of `render_state`."""
    parts = text.split(", ")
    if len(parts) != len(spec["names"]):
        return None
    roles = [*enumerate(phrases.words["roles"]), (UNKNOWN, phrases.words["unknown"])]
    state = []
    for name, part in zip(spec["names"], parts, strict=True):
        meaning = {phrases.render("known", name=name, role=word): role for role, word in roles}
        if part not in meaning:
            return None
        state.append(meaning[part])
    return tuple(state)


def _known(spec: Spec, phrases: Phrases, state: State, person: int) -> str:
    """`Ann knight`, or `Ann unknown`."""
    known = state[person] != UNKNOWN
    role = _role(phrases, state[person]) if known else phrases.words["unknown"]
    return phrases.render("known", name=spec["names"][person], role=role)


def render_unknown(spec: Spec, phrases: Phrases, state: State) -> str:
    """`Unknown are Bob, Cid`."""
    names = [who for who, role in zip(spec["names"], state, strict=True) if role == UNKNOWN]
    return phrases.render("understanding", names=", ".join(names))


def verification(spec: Spec, phrases: Phrases, state: State) -> str:
    """All claims in order, up to the first clash, and what they add up to."""
    claims = "; ".join(_render_claims(spec, phrases, state))
    if is_dead(says_of(spec), state):
        return phrases.render("dead", claims=claims)
    if UNKNOWN in state:
        return phrases.render("open", claims=claims, count=state.count(UNKNOWN))
    return phrases.render("goal", claims=claims)


def _render_claims(spec: Spec, phrases: Phrases, state: State) -> Iterator[str]:
    """Each claim up to a clash, its truth and the roles that follow:
    `Ann says Bob lies: Ann knight, Bob lies, true, so Bob is a knave`.

    The roles of the persons mentioned decide the truth, or else the role of the speaker.
    """
    says = says_of(spec)
    for speaker in range(len(says)):
        value = truth(says, state, speaker)
        if value is None and state[speaker] != UNKNOWN:
            value = bool(state[speaker])
        facts = [phrases.words["unsettled"] if value is None else phrases.words["truths"][value]]
        for role in forced_roles(says, state, speaker):
            facts.append(phrases.render("so", role=_render_role(spec, phrases, *role)))
        claim = restate_claim(spec, phrases, state, speaker)
        yield phrases.render("claim", claim=claim, truth=", ".join(facts))
        if is_clash(says, state, speaker):
            return


def restate_claim(spec: Spec, phrases: Phrases, state: State, speaker: int) -> str:
    """A claim in its own words, then with the known roles of the speaker and of those it mentions:
    `Ann says Bob opposes Cid: Ann knight, Bob knave opposes Cid`."""
    kind, *others = says_of(spec)[speaker]
    sentence = render_claim(phrases, spec["names"], spec["names"][speaker], (kind, *others))
    first, *_, second = (
        spec["names"][person] if state[person] == UNKNOWN else _known(spec, phrases, state, person)
        for person in (others[0], *others)
    )
    restated = phrases.render(f"restated_{kind}", first=first, second=second)
    own = "" if state[speaker] == UNKNOWN else f"{_known(spec, phrases, state, speaker)}, "
    return f"{sentence.rstrip('.')}: {own}{restated}"


def _render_role(spec: Spec, phrases: Phrases, person: int, role: int) -> str:
    """`Ann is a knight`."""
    return phrases.render("role", name=spec["names"][person], role=_role(phrases, role))


def _role(phrases: Phrases, role: int) -> str:
    return str(phrases.words["roles"][role])


def _read_roles(spec: Spec, phrases: Phrases, parts: Sequence[str]) -> State | None:
    """The roles in phrases like `Ann is a knight`, each person once; None if one is unreadable."""
    meaning = {
        _render_role(spec, phrases, person, role): (person, role)
        for person in range(len(spec["names"]))
        for role in (0, 1)
    }
    roles = dict(meaning.get(part.strip(), (None, UNKNOWN)) for part in parts)
    if None in roles or len(roles) < len(parts):
        return None
    return tuple(roles.get(person, UNKNOWN) for person in range(len(spec["names"])))
