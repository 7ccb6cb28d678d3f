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
from collections.abc import Sequence
from typing import Any

from steiner.tasks.canonical import canonical_claims
from steiner.tasks.givens import has_names
from steiner.tasks.knights_knaves_logic import (
    OPPOSITES,
    UNKNOWN,
    Claim,
    is_dead,
    moves_from,
    needs_one_supposition,
    random_claim,
    says_of,
    solutions,
)
from steiner.tasks.knights_knaves_statements import (
    enumerated,
    quote,
    read_claims,
    render_claim,
    split,
)
from steiner.tasks.knights_knaves_steps import (
    read_next_step,
    read_state,
    render_next_step,
    render_state,
    render_unknown,
    verification,
)
from steiner.tasks.knights_knaves_wording import word_fields, worded, worded_statement
from steiner.tasks.names import known_names
from steiner.tasks.no_answer import (
    NoAnswer,
    grade_no_answer,
    has_search,
    no_answer,
    reading_step,
    reading_without_search,
)
from steiner.tasks.phrases import Phrases, load_phrases, phrases_of
from steiner.tasks.protocols import Grade, Move, StepReading, Task, WordedQuestion, grade_of
from steiner.tasks.question_grammar import load_grammar
from steiner.types import Problem, Spec, Split, State, StepTexts, Verdict

LETTERS = "ABCDEF"
"""The persons' names in the steps of a search."""
_TITLED = 0.05
"""Share of puzzles whose persons have titles, such as `Lady Ingrid`."""
LEVELS = {1: 3, 2: 4, 3: 5, 4: 6}
"""Level -> how many persons. Three persons have only 224 problems up to renaming, 16 of them in the
test split. So every second problem of level 1 has four persons and needs one supposition only."""


class KnightsKnaves:
    """Three to six persons, one claim each, one solution."""

    name = "knights_knaves"
    levels = range(1, 5)

    def generate(self, rng: random.Random, level: int) -> Spec:
        one_more = level == 1 and rng.random() < 0.5
        while True:
            says = _random_says(rng, LEVELS[level] + one_more)
            if solutions(says).bit_count() == 1 and (not one_more or needs_one_supposition(says)):
                spec = {"names": list(LETTERS[: len(says)]), "says": [list(c) for c in says]}
                return self.vary(spec, rng, "en")

    def canonical_text(self, spec: Spec) -> str:
        claims = canonical_claims(says_of(spec))
        return " ".join("-".join(map(str, claim)) for claim in claims)

    def start(self, spec: Spec) -> State:
        return (UNKNOWN,) * len(spec["names"])

    def moves(self, spec: Spec, state: State) -> Sequence[Move]:
        return moves_from(says_of(spec), state)

    def verdict(self, spec: Spec, state: State) -> Verdict:
        if is_dead(says_of(spec), state):
            return Verdict.DEAD
        return Verdict.OPEN if UNKNOWN in state else Verdict.GOAL

    def step_texts(self, problem: Problem, depth: int, before: State, move: Move) -> StepTexts:
        spec, phrases = lettered(problem.spec), phrases_of(problem)
        return StepTexts(
            render_next_step(spec, phrases, depth, before, move.action),
            render_unknown(spec, phrases, before),
            phrases.render("summary", state=render_state(spec, phrases, move.state)),
            verification(spec, phrases, move.state),
        )

    def read_step(self, problem: Problem, texts: StepTexts) -> StepReading:
        spec, phrases = lettered(problem.spec), phrases_of(problem)
        depth, before, action = read_next_step(spec, phrases, texts.next_step)
        summary = phrases.match(texts.summary, "summary")
        after = read_state(spec, phrases, summary[1]["state"]) if summary else None
        verdict = phrases.match_verdict(texts.verification)
        verified = after and verification(spec, phrases, after)
        sound = texts.verification.strip() == verified
        if before:
            unknown = render_unknown(spec, phrases, before)
            sound = sound and texts.understanding.strip() == unknown
        if before and depth is not None and action:
            stated = render_next_step(spec, phrases, depth, before, action)
            sound = sound and texts.next_step.strip() == stated
        return StepReading(depth, action, before, after, verdict, sound)

    def vary(self, spec: Spec, rng: random.Random, language: str) -> Spec:
        """The same claims by other persons, and other words for the two roles."""
        words = load_grammar(self.name, language).words
        pair = rng.choice(words["pairs"])
        names = rng.sample(known_names(language, held_out=False), len(spec["names"]))
        if rng.random() < _TITLED:
            names = [f"{rng.choice(words['titles'])} {name}" for name in names]
        fixed = {name: value for name, value in spec.items() if name != "statements"}
        return {**fixed, "names": names, "terms": list(pair[:2])}

    def as_typed(self, spec: Spec, question: WordedQuestion) -> Spec:
        """Names in the letter case of the question, and its statements word by word."""
        names = [_as_typed(name, question.text) for name in spec["names"]]
        statements = [quote(question.text, statement) for statement in question.statements]
        return {**spec, "names": names} | ({"statements": statements} if all(statements) else {})

    def as_changed(self, spec: Spec, earlier: Spec, follow_up: str) -> Spec:
        """The statements of the earlier turn; the one that changed has both turns' words."""
        statements = [
            was if before == now else f"{was} {' '.join(follow_up.split())}"
            for was, before, now in zip(
                earlier.get("statements", ()), says_of(earlier), says_of(spec), strict=False
            )
        ]
        return {**spec, "names": earlier["names"], "statements": statements}

    def question(
        self, spec: Spec, language: str, rng: random.Random, split: Split
    ) -> WordedQuestion:
        return worded(spec, load_grammar(self.name, language), rng, split)

    def unanswerable(self, rng: random.Random, level: int) -> Spec:
        """Statements that contradict each other, or persons who say nothing."""
        spec = dict(self.generate(rng, level))
        if rng.random() < 0.5:
            del spec["says"]
            return {**spec, "no_answer": NoAnswer.MISSING.value, "missing": "statements"}
        spec = dict(self.generate(rng, 1))
        while True:
            says = _random_says(rng, len(spec["names"]))
            if not solutions(says):
                contradiction = {"no_answer": NoAnswer.NO_SOLUTION.value}
                return {**spec, "says": [list(claim) for claim in says], **contradiction}

    def follow_up(
        self, spec: Spec, language: str, rng: random.Random, split: Split
    ) -> tuple[Spec, str] | None:
        """Before, one person said the opposite, or something else."""
        grammar, before = load_grammar(self.name, language), list(says_of(spec))
        speaker = rng.randrange(len(before))
        fields = word_fields(spec, grammar) | {"speaker": spec["names"][speaker]}
        opposite = rng.random() < 0.5 and before[speaker][0] in OPPOSITES
        if opposite:
            kind, *others = before[speaker]
            before[speaker] = (OPPOSITES[kind], *others)
        else:
            before[speaker] = random_claim(rng, len(before), speaker)
        if before[speaker] == says_of(spec)[speaker] or solutions(tuple(before)).bit_count() != 1:
            return None
        if not opposite:
            fields["statement"] = worded_statement(spec, grammar, rng, speaker, "<statement>")
        text = grammar.follow_up(rng, split, "opposite" if opposite else "new_claim", fields)
        return {**spec, "says": [list(claim) for claim in before]}, text

    def reading(self, problem: Problem) -> StepTexts:
        spec, phrases = problem.spec, phrases_of(problem)
        in_letters = lettered(spec)
        people = [
            phrases.render("person", letter=letter, name=name)
            for letter, name in zip(LETTERS, spec["names"], strict=False)
        ]
        a_knight, a_knave = terms_of(spec, phrases)
        claims = phrases.words["no_claims"]
        if "says" in spec:
            sentences = [
                render_claim(phrases, people, who, claim)
                for who, claim in zip(people, says_of(spec), strict=True)
            ]
            for index, statement in enumerate(spec.get("statements", ())):
                sentences[index] = phrases.render(
                    "quoted", statement=statement, claim=sentences[index]
                )
            claims = " ".join(sentences)
        restated = phrases.render(
            "reading", people=", ".join(people), knight=a_knight, knave=a_knave, claims=claims
        )
        if not has_search(spec):
            return reading_without_search(spec, problem.language, restated)
        state = self.start(spec)
        summary = phrases.render("summary", state=render_state(in_letters, phrases, state))
        checked = verification(in_letters, phrases, state)
        return reading_step(problem.language, restated, summary, checked)

    def read_question(self, understanding: str, language: str) -> Spec | None:
        phrases = load_phrases(self.name, language)
        found = phrases.match(understanding, "reading")
        people = found[1]["people"].split(", ") if found else []
        if found is None or not 2 <= len(people) <= len(LETTERS):
            return None
        names = [
            _name(phrases, person, letter) for person, letter in zip(people, LETTERS, strict=False)
        ]
        if not all(names):
            return None
        spec: dict[str, Any] = {"names": names, "terms": [found[1]["knight"], found[1]["knave"]]}
        if found[1]["claims"] == phrases.words["no_claims"]:
            return {**spec, "no_answer": NoAnswer.MISSING.value, "missing": "statements"}
        says = read_claims(phrases, people, found[1]["claims"])
        if says is None:
            return None
        spec["says"] = [list(claim) for claim in says]
        return spec if solutions(says) else {**spec, "no_answer": NoAnswer.NO_SOLUTION.value}

    def is_stated(self, spec: Spec, text: str, language: str) -> bool:
        return has_names(text, spec["names"])

    def answer(self, problem: Problem, branch: Sequence[tuple[State, Move]]) -> str:
        spec, phrases = problem.spec, phrases_of(problem)
        roles = enumerate(branch[-1][1].state)
        return enumerated(phrases, [render_person(spec, phrases, *role) for role in roles])

    def grade(self, problem: Problem, answer: str) -> Grade:
        if no_answer(problem.spec):
            return grade_no_answer(problem, answer)
        return grade_of(self._is_right(problem, answer))

    def _is_right(self, problem: Problem, answer: str) -> bool | None:
        """True if each person's role is right; None if `answer` is not a list of roles."""
        spec, phrases = problem.spec, phrases_of(problem)
        roles = read_people(spec, phrases, split(phrases, answer.strip()))
        return None if roles is None else self.verdict(spec, roles) is Verdict.GOAL


def _random_says(rng: random.Random, count: int) -> tuple[Claim, ...]:
    return tuple(random_claim(rng, count, speaker) for speaker in range(count))


def _as_typed(name: str, question: str) -> str:
    found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", question, re.IGNORECASE)
    return name if found is None else found[0]


def _name(phrases: Phrases, person: str, letter: str) -> str:
    """The name in a phrase like `Lady Ingrid A`; empty for a phrase with another letter."""
    before, after = phrases.render("person", name="{name}", letter=letter).split("{name}")
    if not (person.startswith(before) and person.endswith(after)):
        return ""
    return person[len(before) : len(person) - len(after)]


def lettered(spec: Spec) -> Spec:
    """The Spec with letters for names: after the question is read, steps use only these."""
    return {**spec, "names": list(LETTERS[: len(spec["names"])])}


def terms_of(spec: Spec, phrases: Phrases) -> tuple[str, str]:
    """The question's own words for the two roles: `("a knight", "a knave")`."""
    usual = load_grammar(KnightsKnaves.name, phrases.language).words["terms"]
    a_knight, a_knave = spec.get("terms", usual)
    return a_knight, a_knave


def render_person(spec: Spec, phrases: Phrases, person: int, role: int) -> str:
    """`Ann is an angel`, in the question's own words; an unknown role counts as the second."""
    term = terms_of(spec, phrases)[0 if role == 1 else 1]
    return f"{spec['names'][person]} {phrases.words['is']} {term}"


def read_people(spec: Spec, phrases: Phrases, parts: Sequence[str]) -> State | None:
    """The roles in phrases like `Ann is an angel`, each person once, in any letter case.

    None if one is unreadable.
    """
    meaning = {
        _plain(render_person(spec, phrases, person, role)): (person, role)
        for person in range(len(spec["names"]))
        for role in (0, 1)
    }
    roles = dict(meaning.get(_plain(part), (None, UNKNOWN)) for part in parts)
    if None in roles or len(roles) < len(parts):
        return None
    return tuple(roles.get(person, UNKNOWN) for person in range(len(spec["names"])))


def _plain(text: str) -> str:
    return text.strip().casefold()


TASK = Task.of_family(KnightsKnaves())
