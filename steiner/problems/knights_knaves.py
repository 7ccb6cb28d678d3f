"""Knights and knaves: say who always speaks true and who always lies, from one claim of each.

A state is each person's role: 1 knight, 0 knave, -1 unknown. Where one claim, with the roles known
so far, leaves a person a single role, that is a move (a deduction); supposing a role of the first
unknown person always is. The verification goes through what each known person says, one by one, up
to the first clash.
Twin of reasoning-gym's `knights_knaves`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from steiner.problems.claims import (
    UNKNOWN,
    Claim,
    agreeing,
    as_claim,
    constraints,
    find_clash,
    knights,
    ordered,
    random_claim,
    solutions,
    truth,
)
from steiner.problems.family import Family, Move, StepReading
from steiner.problems.phrases import Phrases, load_phrases
from steiner.problems.statements import enumerated, read_claims, render_claim, split
from steiner.types import Action, Spec, State, StepTexts, UserError, Verdict

MAX_DEDUCTIONS = 3
_PEOPLE = {1: 3, 2: 4, 3: 5, 4: 6}
"""Level -> how many persons."""


class KnightsKnaves(Family):
    """Three to six persons, one claim each, one solution."""

    name = "knights_knaves"
    levels = range(1, 5)

    def generate(self, rng: random.Random, level: int) -> Spec:
        count, known = _PEOPLE[level], load_phrases(self.name).words["names"]
        while True:
            says = tuple(random_claim(rng, count, speaker) for speaker in range(count))
            if solutions(says).bit_count() == 1:
                return {"names": rng.sample(known, count), "says": [list(c) for c in says]}

    def identity(self, spec: Spec) -> str:
        return " ".join("-".join(map(str, ordered(claim))) for claim in _says(spec))

    def start(self, spec: Spec) -> State:
        return (UNKNOWN,) * len(spec["names"])

    def moves(self, spec: Spec, state: State) -> Sequence[Move]:
        return _moves(_says(spec), state)

    def verdict(self, spec: Spec, state: State) -> Verdict:
        if find_clash(_says(spec), state) is not None:
            return Verdict.DEAD
        return Verdict.OPEN if UNKNOWN in state else Verdict.GOAL

    def step_texts(
        self, spec: Spec, phrases: Phrases, depth: int, before: State, move: Move
    ) -> StepTexts:
        return StepTexts(
            _render_next_step(spec, phrases, depth, before, move.action),
            _render_unknown(spec, phrases, before),
            phrases.render("summary", known=_render_known(spec, phrases, move.state)),
            self._verification(spec, phrases, move.state),
        )

    def _verification(self, spec: Spec, phrases: Phrases, state: State) -> str:
        clash = find_clash(_says(spec), state)
        claims = _render_truths(spec, phrases, state, clash)
        if clash is not None:
            return phrases.render("dead", claims=claims)
        if UNKNOWN in state:
            return phrases.render("open", claims=claims, count=state.count(UNKNOWN))
        return phrases.render("goal", claims=claims)

    def read_step(self, spec: Spec, phrases: Phrases, texts: StepTexts) -> StepReading:
        depth, before, action = _read_next_step(spec, phrases, texts.next_step)
        summary = phrases.match(texts.summary, "summary")
        after = _read_known(spec, phrases, summary[1]["known"]) if summary else None
        verdict, sound = self._read_verification(spec, phrases, texts.verification, after)
        if before:
            unknown = _render_unknown(spec, phrases, before)
            sound = sound and texts.understanding.strip() == unknown
        if before and depth is not None and action:
            told = _render_next_step(spec, phrases, depth, before, action)
            sound = sound and texts.next_step.strip() == told
        return StepReading(depth, action, before, after, verdict, sound)

    def _read_verification(
        self, spec: Spec, phrases: Phrases, text: str, after: State | None
    ) -> tuple[Verdict | None, bool]:
        verdict = phrases.match_verdict(text)
        if verdict is None or after is None:
            return None, False
        return verdict, text.strip() == self._verification(spec, phrases, after)

    def question(self, spec: Spec, phrases: Phrases, wording: int) -> str:
        claims = zip(spec["names"], _says(spec), strict=True)
        statements = " ".join(
            render_claim(phrases, spec["names"], who, claim) for who, claim in claims
        )
        names = enumerated(phrases, spec["names"])
        return phrases.questions[wording].format(names=names, statements=statements)

    def recognise(self, phrases: Phrases, text: str) -> Spec | None:
        endings = (text, *(text.rstrip(" \n.?!") + end for end in ".?"))
        found = next(filter(None, map(phrases.match_question, endings)), None)
        if found is None:
            return None
        names = split(phrases, found["names"])
        if not 3 <= len(names) <= 6 or len({name.lower() for name in names}) < len(names):
            raise UserError(
                f"knights and knaves takes 3 to 6 different names, not '{found['names']}'",
                "for example: Ann, Bob and Cid",
            )
        says = read_claims(phrases, names, found["statements"])
        num_solutions = solutions(says).bit_count()
        if num_solutions != 1:
            raise UserError(
                f"these statements allow {num_solutions or 'no'} ways to be knights and knaves",
                "change a statement so that exactly one way is left",
            )
        return {"names": names, "says": [list(claim) for claim in says]}

    def answer(self, spec: Spec, phrases: Phrases, branch: Sequence[tuple[State, Move]]) -> str:
        roles = zip(spec["names"], branch[-1][1].state, strict=True)
        parts = [phrases.render("role", name=who, role=_role(phrases, r)) for who, r in roles]
        return enumerated(phrases, parts)

    def check(self, spec: Spec, phrases: Phrases, answer: str) -> bool:
        told = _read_roles(spec, phrases, "role", split(phrases, answer.strip()))
        return told is not None and self.verdict(spec, told) is Verdict.GOAL

    def from_reasoning_gym(self, metadata: dict[str, Any]) -> Spec | None:
        """Items whose statements are all equivalent to claims about others; their own words for
        knight and knave are kept for `to_reasoning_gym`."""
        names, statements = metadata["names"], metadata["statements"]
        if not 3 <= len(names) <= 6:
            return None
        found = [as_claim(len(names), *said) for said in enumerate(statements)]
        terms = [metadata["knight_knave_terms"][role] for role in ("a_knight", "a_knave")]
        if None in found:
            return None
        return {"names": list(names), "says": [list(c) for c in found if c], "terms": terms}

    def to_reasoning_gym(self, spec: Spec, phrases: Phrases, answer: str) -> str:
        told = _read_roles(spec, phrases, "role", split(phrases, answer.strip()))
        if told is None or UNKNOWN in told:
            return ""
        a_knight, a_knave = spec.get("terms", ("a knight", "a knave"))
        pairs = zip(spec["names"], told, strict=True)
        return ", ".join(f"{who} is {a_knight if role else a_knave}" for who, role in pairs)


def _says(spec: Spec) -> tuple[Claim, ...]:
    return tuple(map(tuple, spec["says"]))


@lru_cache(1 << 14)
def _moves(says: tuple[Claim, ...], state: State) -> tuple[Move, ...]:
    if UNKNOWN not in state or find_clash(says, state) is not None:
        return ()
    return _deductions(says, state) + _suppositions(state)


def _deductions(says: tuple[Claim, ...], state: State) -> tuple[Move, ...]:
    """Roles forced by one claim and the known roles; each by the first claim that forces it."""
    known = agreeing(state)
    found: dict[tuple[int, int], Move] = {}
    for speaker, allowed in enumerate(constraints(says)):
        left = allowed & known
        for person in (speaker, *says[speaker][1:]):
            as_knight = left & knights(len(state), person)
            if state[person] == UNKNOWN and as_knight in (0, left):
                role = int(as_knight != 0)
                action = ("deduce", speaker, person, role)
                found.setdefault((person, role), Move(action, _decided(state, person, role)))
    return tuple(found.values())[:MAX_DEDUCTIONS]


def _suppositions(state: State) -> tuple[Move, ...]:
    """Either role for the first unknown person."""
    person = state.index(UNKNOWN)
    return tuple(Move(("suppose", person, role), _decided(state, person, role)) for role in (1, 0))


def _decided(state: State, person: int, role: int) -> State:
    return (*state[:person], role, *state[person + 1 :])


def _role(phrases: Phrases, role: int) -> str:
    return str(phrases.words["roles"][role])


def _person(spec: Spec, name: str) -> int | None:
    return spec["names"].index(name) if name in spec["names"] else None


def render_told(spec: Spec, phrases: Phrases, state: State, speaker: int) -> str:
    """A claim as it was said; then the speaker's role, and the claim again with the roles that are
    known: `Ann says Bob opposes Cid: Ann knight, Bob knave opposes Cid`."""
    kind, *others = _says(spec)[speaker]
    said = render_claim(phrases, spec["names"], spec["names"][speaker], (kind, *others))
    first, *_, second = (
        _render_known(spec, phrases, state, [person]) or spec["names"][person]
        for person in (others[0], *others)
    )
    told = phrases.render(f"told_{kind}", first=first, second=second)
    own = _render_known(spec, phrases, state, [speaker])
    return f"{said.rstrip('.')}: {own}, {told}" if own else f"{said.rstrip('.')}: {told}"


def _render_truths(spec: Spec, phrases: Phrases, state: State, last: int | None) -> str:
    """What each known person says, up to person `last`, and whether it is true by the known roles:
    `Ann says Bob lies: Ann knight, Bob knave lies, true; ...`."""
    says, claims = _says(spec), []
    for person, role in enumerate(state[: None if last is None else last + 1]):
        if role != UNKNOWN:
            value = truth(says, state, person)
            word = phrases.words["unsettled"] if value is None else phrases.words["truths"][value]
            told = render_told(spec, phrases, state, person)
            claims.append(phrases.render("claim", told=told, truth=word))
    return "; ".join(claims)


def _render_next_step(
    spec: Spec, phrases: Phrases, depth: int, before: State, action: Action
) -> str:
    kind, *speakers, person, role = action
    fields = {"depth": depth, "name": spec["names"][person], "role": _role(phrases, role)}
    fields["known"] = _render_known(spec, phrases, before) or phrases.words["nobody"]
    if speakers:
        fields["told"] = render_told(spec, phrases, before, speakers[0])
    return phrases.render(kind, **fields)


def _read_next_step(
    spec: Spec, phrases: Phrases, text: str
) -> tuple[int | None, State | None, Action | None]:
    """Depth, the roles known before, action; what a deduction quotes may be false."""
    found = phrases.match(text, "suppose", "deduce")
    if found is None or not re.fullmatch(r"\d{1,4}", found[1]["depth"]):
        return None, None, None
    kind, fields = found
    depth, before = int(fields["depth"]), _read_known(spec, phrases, fields["known"])
    persons = [_person(spec, fields["name"])]
    if kind == "deduce":
        persons.insert(0, _speaker(spec, fields["told"]))
    if None in persons or fields["role"] not in phrases.words["roles"]:
        return depth, before, None
    return depth, before, (kind, *persons, phrases.words["roles"].index(fields["role"]))


def _speaker(spec: Spec, told: str) -> int | None:
    """Whose claim it is: their name, and no longer one, stands first."""
    first = [i for i, name in enumerate(spec["names"]) if told.startswith(f"{name} ")]
    return max(first, key=lambda i: len(spec["names"][i]), default=None)


def _render_known(
    spec: Spec, phrases: Phrases, state: State, persons: Sequence[int] | None = None
) -> str:
    """`Ann knight, Cid knave`: those of `persons` (by default all) whose role is known."""
    chosen = range(len(state)) if persons is None else persons
    return ", ".join(
        phrases.render("known", name=spec["names"][p], role=_role(phrases, state[p]))
        for p in chosen
        if state[p] != UNKNOWN
    )


def _render_unknown(spec: Spec, phrases: Phrases, state: State) -> str:
    names = [who for who, role in zip(spec["names"], state, strict=True) if role == UNKNOWN]
    return phrases.render("understanding", names=", ".join(names))


def _read_known(spec: Spec, phrases: Phrases, text: str) -> State | None:
    if text == phrases.words["nobody"]:
        return (UNKNOWN,) * len(spec["names"])
    return _read_roles(spec, phrases, "known", text.split(", "))


def _read_roles(spec: Spec, phrases: Phrases, name: str, parts: Sequence[str]) -> State | None:
    """The roles that `parts` tell in phrases of that name, each person once; None if unreadable."""
    roles = tuple(enumerate(phrases.words["roles"]))
    meaning = {
        phrases.render(name, name=who, role=word): (person, role)
        for person, who in enumerate(spec["names"])
        for role, word in roles
    }
    told = dict(meaning.get(part.strip(), (None, UNKNOWN)) for part in parts)
    if None in told or len(told) < len(parts):
        return None
    return tuple(told.get(person, UNKNOWN) for person in range(len(spec["names"])))


FAMILY = KnightsKnaves()
