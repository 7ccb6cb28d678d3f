"""Knights and knaves: find out who always tells the truth and who always lies, from one claim each.

A state is each person's role: 1 knight, 0 knave, -1 unknown. If one claim and the known roles leave
a person a single role, a move deduces that role. If no claim does, a move supposes a role of the
first unknown person. The verification goes through all claims in order, up to the first clash: it
says whether each is true given the known roles, and which roles follow.
Twin of reasoning-gym's `knights_knaves`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from steiner.tasks.canonical import canonical_claims
from steiner.tasks.knights_knaves_logic import (
    UNKNOWN,
    Claim,
    forced_roles,
    is_clash,
    is_dead,
    moves_from,
    random_claim,
    solutions,
    truth,
)
from steiner.tasks.knights_knaves_statements import (
    enumerated,
    find_claims,
    read_claims,
    render_claim,
    split,
)
from steiner.tasks.phrases import Phrases, load_phrases, phrases_of
from steiner.tasks.protocols import Grade, Move, StepReading, Task, grade_of
from steiner.types import Action, Problem, Spec, State, StepTexts, UserError, Verdict

LEVELS = {1: 3, 2: 4, 3: 5, 4: 6}
"""Level -> how many persons. Three persons have only 224 problems up to renaming, 16 of them in the
test split."""


class KnightsKnaves:
    """Three to six persons, one claim each, one solution."""

    name = "knights_knaves"
    levels = range(1, 5)

    def generate(self, rng: random.Random, level: int) -> Spec:
        count, known = LEVELS[level], load_phrases(self.name).words["names"]
        while True:
            says = tuple(random_claim(rng, count, speaker) for speaker in range(count))
            if solutions(says).bit_count() == 1:
                return {"names": rng.sample(known, count), "says": [list(c) for c in says]}

    def canonical_text(self, spec: Spec) -> str:
        claims = canonical_claims(_says(spec))
        return " ".join("-".join(map(str, claim)) for claim in claims)

    def start(self, spec: Spec) -> State:
        return (UNKNOWN,) * len(spec["names"])

    def moves(self, spec: Spec, state: State) -> Sequence[Move]:
        return moves_from(_says(spec), state)

    def verdict(self, spec: Spec, state: State) -> Verdict:
        if is_dead(_says(spec), state):
            return Verdict.DEAD
        return Verdict.OPEN if UNKNOWN in state else Verdict.GOAL

    def step_texts(self, problem: Problem, depth: int, before: State, move: Move) -> StepTexts:
        spec, phrases = problem.spec, phrases_of(problem)
        return StepTexts(
            _render_next_step(spec, phrases, depth, before, move.action),
            _render_unknown(spec, phrases, before),
            phrases.render("summary", state=render_state(spec, phrases, move.state)),
            self._verification(spec, phrases, move.state),
        )

    def _verification(self, spec: Spec, phrases: Phrases, state: State) -> str:
        claims = "; ".join(_render_claims(spec, phrases, state))
        if is_dead(_says(spec), state):
            return phrases.render("dead", claims=claims)
        if UNKNOWN in state:
            return phrases.render("open", claims=claims, count=state.count(UNKNOWN))
        return phrases.render("goal", claims=claims)

    def read_step(self, problem: Problem, texts: StepTexts) -> StepReading:
        spec, phrases = problem.spec, phrases_of(problem)
        depth, before, action = _read_next_step(spec, phrases, texts.next_step)
        summary = phrases.match(texts.summary, "summary")
        after = _read_state(spec, phrases, summary[1]["state"]) if summary else None
        verdict = phrases.match_verdict(texts.verification)
        verified = after and self._verification(spec, phrases, after)
        sound = texts.verification.strip() == verified
        if before:
            unknown = _render_unknown(spec, phrases, before)
            sound = sound and texts.understanding.strip() == unknown
        if before and depth is not None and action:
            stated = _render_next_step(spec, phrases, depth, before, action)
            sound = sound and texts.next_step.strip() == stated
        return StepReading(depth, action, before, after, verdict, sound)

    def num_wordings(self, language: str) -> int:
        return len(load_phrases(self.name, language).questions)

    def question(self, spec: Spec, language: str, wording: int) -> str:
        phrases = load_phrases(self.name, language)
        claims = zip(spec["names"], _says(spec), strict=True)
        statements = " ".join(
            render_claim(phrases, spec["names"], who, claim) for who, claim in claims
        )
        names = enumerated(phrases, spec["names"])
        return phrases.questions[wording].format(names=names, statements=statements)

    def recognise(self, text: str, language: str) -> Spec | None:
        phrases = load_phrases(self.name, language)
        endings = (text, *(text.rstrip(" \n.?!") + end for end in ".?"))
        found = next(filter(None, map(phrases.match_question, endings)), None)
        names_and_statements = (
            (split(phrases, found["names"]), found["statements"])
            if found
            else find_claims(phrases, text)
        )
        if names_and_statements is None:
            return None
        names, statements = names_and_statements
        if not 3 <= len(names) <= 6 or len({name.lower() for name in names}) < len(names):
            raise UserError(
                f"knights and knaves takes 3 to 6 different names, not '{', '.join(names)}'",
                "for example: Ann, Bob and Cid",
            )
        says = read_claims(phrases, names, statements)
        num_solutions = solutions(says).bit_count()
        if num_solutions != 1:
            raise UserError(
                f"these statements allow {num_solutions or 'no'} ways to be knights and knaves",
                "change a statement so that exactly one way is left",
            )
        return {"names": names, "says": [list(claim) for claim in says]}

    def answer(self, problem: Problem, branch: Sequence[tuple[State, Move]]) -> str:
        spec, phrases = problem.spec, phrases_of(problem)
        roles = enumerate(branch[-1][1].state)
        return enumerated(phrases, [_render_role(spec, phrases, *role) for role in roles])

    def grade(self, problem: Problem, answer: str) -> Grade:
        return grade_of(self._is_right(problem, answer))

    def _is_right(self, problem: Problem, answer: str) -> bool | None:
        """True if each person's role is right; None if `answer` is not a list of roles."""
        spec, phrases = problem.spec, phrases_of(problem)
        roles = read_roles(spec, phrases, split(phrases, answer.strip()))
        return None if roles is None else self.verdict(spec, roles) is Verdict.GOAL


def _says(spec: Spec) -> tuple[Claim, ...]:
    return tuple(map(tuple, spec["says"]))


def _role(phrases: Phrases, role: int) -> str:
    return str(phrases.words["roles"][role])


def _render_role(spec: Spec, phrases: Phrases, person: int, role: int) -> str:
    """`Ann is a knight`."""
    return phrases.render("role", name=spec["names"][person], role=_role(phrases, role))


def restate_claim(spec: Spec, phrases: Phrases, state: State, speaker: int) -> str:
    """A claim in its own words, then with the known roles of the speaker and of those it mentions:
    `Ann says Bob opposes Cid: Ann knight, Bob knave opposes Cid`."""
    kind, *others = _says(spec)[speaker]
    sentence = render_claim(phrases, spec["names"], spec["names"][speaker], (kind, *others))
    first, *_, second = (
        spec["names"][person] if state[person] == UNKNOWN else _known(spec, phrases, state, person)
        for person in (others[0], *others)
    )
    restated = phrases.render(f"restated_{kind}", first=first, second=second)
    own = "" if state[speaker] == UNKNOWN else f"{_known(spec, phrases, state, speaker)}, "
    return f"{sentence.rstrip('.')}: {own}{restated}"


def _render_claims(spec: Spec, phrases: Phrases, state: State) -> Iterator[str]:
    """Each claim up to a clash, its truth and the roles that follow:
    `Ann says Bob lies: Ann knight, Bob lies, true, so Bob is a knave`.

    The roles of the persons mentioned decide the truth, or else the role of the speaker.
    """
    says = _says(spec)
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


def _render_next_step(
    spec: Spec, phrases: Phrases, depth: int, before: State, action: Action
) -> str:
    kind, *person_and_role = action
    role = _render_role(spec, phrases, *person_and_role)
    return phrases.render(kind, depth=depth, state=render_state(spec, phrases, before), role=role)


def _read_next_step(
    spec: Spec, phrases: Phrases, text: str
) -> tuple[int | None, State | None, Action | None]:
    """Depth, the state before, action."""
    found = phrases.match(text, "suppose", "deduce")
    if found is None or not re.fullmatch(r"\d{1,4}", found[1]["depth"]):
        return None, None, None
    kind, fields = found
    depth, before = int(fields["depth"]), _read_state(spec, phrases, fields["state"])
    roles = read_roles(spec, phrases, [fields["role"]])
    if roles is None:
        return depth, before, None
    person = next(person for person, role in enumerate(roles) if role != UNKNOWN)
    return depth, before, (kind, person, roles[person])


def render_state(spec: Spec, phrases: Phrases, state: State) -> str:
    """`Ann knight, Bob unknown, Cid knave`."""
    return ", ".join(_known(spec, phrases, state, person) for person in range(len(state)))


def _known(spec: Spec, phrases: Phrases, state: State, person: int) -> str:
    """`Ann knight`, or `Ann unknown`."""
    known = state[person] != UNKNOWN
    role = _role(phrases, state[person]) if known else phrases.words["unknown"]
    return phrases.render("known", name=spec["names"][person], role=role)


def _render_unknown(spec: Spec, phrases: Phrases, state: State) -> str:
    names = [who for who, role in zip(spec["names"], state, strict=True) if role == UNKNOWN]
    return phrases.render("understanding", names=", ".join(names))


def _read_state(spec: Spec, phrases: Phrases, text: str) -> State | None:
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


def read_roles(spec: Spec, phrases: Phrases, parts: Sequence[str]) -> State | None:
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


TASK = Task.of_family(KnightsKnaves())
