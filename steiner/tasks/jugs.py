"""Water jugs: fill, empty and pour until a jug holds the target, within a number of moves.

A state is the number of moves left, then the contents of each jug; all jugs start empty. A move
leads to contents that no fewer moves can reach, so it never goes back. These moves include a
shortest solution of every target (tests/tasks/test_jugs.py); an answer may use other moves too.
Twin of reasoning-gym's `jugs`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from steiner.tasks.canonical import canonical_jugs
from steiner.tasks.givens import has_numbers
from steiner.tasks.jugs_rules import (
    JUGS,
    Contents,
    apply_action,
    has_jugs,
    moves_to_amounts,
    moves_to_contents,
    useful_actions,
)
from steiner.tasks.jugs_wording import question_fields
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
from steiner.tasks.question_grammar import Field, load_grammar
from steiner.types import Action, Problem, Spec, Split, State, StepTexts, Verdict

MAX_CAPACITY = 99
MAX_MOVES = 12
"""Moves that a search tries where the question sets no limit."""
MAX_LIMIT = 20
_MAX_EXHAUSTED = 16
"""States that a search without a solution may have to go through."""
LEVELS = {1: (2, 60, 4, 6), 2: (2, 60, 6, 10), 3: (3, 24, 3, 5), 4: (3, 24, 5, 8)}
"""Level -> number of jugs, largest capacity, fewest and most moves of the shortest solution.

With capacities up to 40, levels 1 and 2 would have 60 and 84 test problems; with 60 they have 154
and 208.
"""


class Jugs:
    """Two or three jugs of whole liters: A, B and C."""

    name = "jugs"
    levels = range(1, 5)

    def generate(self, rng: random.Random, level: int) -> Spec:
        count, largest, fewest, most = LEVELS[level]
        while True:
            capacities = rng.sample(range(2, largest + 1), count)
            moves = moves_to_amounts(tuple(sorted(capacities)), most)
            targets = [target for target in sorted(moves) if fewest <= moves[target] <= most]
            if targets:
                target = rng.choice(targets)
                limit = rng.choice((None, moves[target] + rng.choice((0, 0, 1, 2))))
                return {"capacities": capacities, "target": target, "max_moves": limit}

    def canonical_text(self, spec: Spec) -> str:
        capacities, target = canonical_jugs(spec["capacities"], spec["target"])
        return f"{list(capacities)}->{target}"

    def start(self, spec: Spec) -> State:
        return (_limit(spec), *(0 for _ in spec["capacities"]))

    def moves(self, spec: Spec, state: State) -> Sequence[Move]:
        if spec["target"] in state[1:]:
            return ()
        return _moves(tuple(spec["capacities"]), _limit(spec), state)

    def verdict(self, spec: Spec, state: State) -> Verdict:
        if spec["target"] in state[1:]:
            return Verdict.GOAL
        return Verdict.OPEN if state[0] else Verdict.DEAD

    def step_texts(self, problem: Problem, depth: int, before: State, move: Move) -> StepTexts:
        spec, phrases = problem.spec, phrases_of(problem)
        jugs, action = _render_jugs(before[1:]), _render_action(phrases, move.action)
        return StepTexts(
            phrases.render("next_step", depth=depth, jugs=jugs, action=action),
            _render_understanding(spec, phrases, before, move.action),
            _render_summary(spec, phrases, before, move),
            _render_verification(spec, phrases, move.state),
        )

    def read_step(self, problem: Problem, texts: StepTexts) -> StepReading:
        """Reads contents from the texts, and the moves left from the depth."""
        spec, phrases = problem.spec, phrases_of(problem)
        depth, action, fields = _read_next_step(spec, phrases, texts.next_step)
        before = _read_state(spec, fields.get("jugs"), depth, -1)
        summary = phrases.match(texts.summary, "summary_pour", "summary")
        after = _read_state(spec, summary[1]["jugs"] if summary else None, depth, 0)
        verdict, sound = self._read_verification(spec, phrases, texts.verification, after)
        if sound and before and after and action:
            sound = (texts.understanding.strip(), texts.summary.strip()) == (
                _render_understanding(spec, phrases, before, action),
                _render_summary(spec, phrases, before, Move(action, after)),
            )
        return StepReading(depth, action, before, after, verdict, sound)

    def _read_verification(
        self, spec: Spec, phrases: Phrases, text: str, after: State | None
    ) -> tuple[Verdict | None, bool]:
        verdict = phrases.match_verdict(text)
        if verdict is None or after is None:
            return None, False
        return verdict, text.strip() == _render_verification(spec, phrases, after)

    def question(
        self, spec: Spec, language: str, rng: random.Random, split: Split
    ) -> WordedQuestion:
        grammar = load_grammar(self.name, language)
        fields, missing = question_fields(spec, grammar, rng), spec.get("missing", "")
        if missing:
            return WordedQuestion(grammar.missing(rng, split, missing, fields), "missing")
        voice, text = grammar.question(rng, split, fields)
        return WordedQuestion(text, voice)

    def unanswerable(self, rng: random.Random, level: int) -> Spec:
        """A target out of reach, or too few moves, or a question without target or sizes."""
        spec = dict(self.generate(rng, level))
        if rng.random() < 0.5:
            missing = rng.choice(("target", "capacities"))
            del spec[missing]
            return {**spec, "no_answer": NoAnswer.MISSING.value, "missing": missing}
        while True:
            capacities = rng.sample(range(2, 25), 2)
            amounts = moves_to_amounts(tuple(sorted(capacities)), MAX_MOVES)
            limit: int | None = rng.choice((None, 4, 6, 8))
            target = rng.randint(1, max(capacities) + 6)
            if rng.random() < 0.4:
                target, limit = rng.choice(sorted(amounts)), rng.randint(2, 5)
            if target in amounts and (limit is None or amounts[target] <= limit):
                continue
            spec = {"capacities": capacities, "target": target, "max_moves": limit}
            reached = moves_to_contents(tuple(capacities), limit or MAX_MOVES)
            if target and len(reached) <= _MAX_EXHAUSTED:
                return {**spec, "no_answer": NoAnswer.NO_SOLUTION.value}

    def follow_up(
        self, spec: Spec, language: str, rng: random.Random, split: Split
    ) -> tuple[Spec, str] | None:
        """Another target for the same jugs, or another size of one jug."""
        grammar, capacities = load_grammar(self.name, language), list(spec["capacities"])
        fields: dict[str, Field] = {}
        fields["unit"], fields["units"] = rng.choice(grammar.words["units"])
        fields["vessel"], fields["vessels"] = rng.choice(grammar.words["vessels"])
        limit = spec["max_moves"] or MAX_MOVES
        if rng.random() < 0.5:
            amounts = moves_to_amounts(tuple(sorted(capacities)), limit)
            targets = sorted(amount for amount in amounts if amount not in (0, spec["target"]))
            if not targets:
                return None
            fields["target"] = str(spec["target"])
            text = grammar.follow_up(rng, split, "new_target", fields)
            return {**spec, "target": rng.choice(targets)}, text
        changed = rng.randrange(len(capacities))
        old, new = rng.randint(2, max(capacities) + 3), capacities[changed]
        capacities[changed] = old
        amounts = moves_to_amounts(tuple(sorted(capacities)), limit)
        if old in spec["capacities"] or spec["target"] not in amounts:
            return None
        fields |= {"old": str(old), "new": str(new), "ordinal": grammar.words["ordinals"][changed]}
        text = grammar.follow_up(rng, split, "new_capacity", fields)
        return {**spec, "capacities": capacities}, text

    def reading(self, problem: Problem) -> StepTexts:
        spec, phrases = problem.spec, phrases_of(problem)
        unknown = phrases.words["unknown"]
        limit = spec.get("max_moves")
        restated = phrases.render(
            "reading",
            jugs=_render_jugs(spec["capacities"]) if "capacities" in spec else unknown,
            target=spec.get("target", unknown),
            moves=phrases.words["no_limit"] if limit is None else limit,
        )
        if not has_search(spec):
            return reading_without_search(spec, problem.language, restated)
        state = self.start(spec)
        summary = phrases.render("summary", jugs=_render_jugs(state[1:]))
        checked = _render_verification(spec, phrases, state)
        return reading_step(problem.language, restated, summary, checked)

    def read_question(self, understanding: str, language: str) -> Spec | None:
        phrases = load_phrases(self.name, language)
        found = phrases.match(understanding, "reading")
        if found is None:
            return None
        spec: dict[str, Any] = {}
        unknown, fields = phrases.words["unknown"], found[1]
        if fields["jugs"] != unknown:
            parts = [
                re.fullmatch(r"([A-Z]) (\d{1,3})", part) for part in fields["jugs"].split(", ")
            ]
            sizes = [int(part[2]) for part in parts if part]
            if not 2 <= len(sizes) == len(parts) <= len(JUGS) or not min(sizes) > 0:
                return None
            if max(sizes) > MAX_CAPACITY:
                return None
            spec["capacities"] = sizes
        if fields["target"] != unknown:
            if not re.fullmatch(r"\d{1,3}", fields["target"]):
                return None
            spec["target"] = int(fields["target"])
        if fields["moves"] == phrases.words["no_limit"]:
            spec["max_moves"] = None
        elif re.fullmatch(r"\d{1,2}", fields["moves"]) and 1 <= int(fields["moves"]) <= MAX_LIMIT:
            spec["max_moves"] = int(fields["moves"])
        else:
            return None
        for name in ("capacities", "target"):
            if name not in spec:
                return {**spec, "no_answer": NoAnswer.MISSING.value, "missing": name}
        limit = spec["max_moves"] or MAX_MOVES
        if spec["target"] not in moves_to_amounts(tuple(sorted(spec["capacities"])), limit):
            return {**spec, "no_answer": NoAnswer.NO_SOLUTION.value}
        return spec

    def is_stated(self, spec: Spec, text: str, language: str) -> bool:
        limit = [] if spec["max_moves"] is None else [spec["max_moves"]]
        return has_numbers(text, (*spec["capacities"], spec["target"], *limit), language)

    def answer(self, problem: Problem, branch: Sequence[tuple[State, Move]]) -> str:
        """The moves by number, so that the model names a step before it copies the step's move."""
        phrases = phrases_of(problem)
        return numbered_moves(phrases, (_render_action(phrases, m.action) for _, m in branch))

    def grade(self, problem: Problem, answer: str) -> Grade:
        if no_answer(problem.spec):
            return grade_no_answer(problem, answer)
        return grade_of(self._is_right(problem, answer))

    def _is_right(self, problem: Problem, answer: str) -> bool | None:
        """True if a jug holds the target after all moves; None if `answer` is not a list of moves.

        Moves that waste water are allowed.
        """
        spec, actions = problem.spec, read_actions(phrases_of(problem), answer)
        if actions is None:
            return None
        contents: Contents | None = (0,) * len(spec["capacities"])
        for action in actions:
            contents = contents and apply_action(spec["capacities"], contents, action)
        is_reached = contents is not None and spec["target"] in contents
        return is_reached and (spec["max_moves"] is None or len(actions) <= spec["max_moves"])


def _limit(spec: Spec) -> int:
    """The most moves; MAX_MOVES where the question sets no limit."""
    return MAX_MOVES if spec["max_moves"] is None else int(spec["max_moves"])


@lru_cache(1 << 14)
def _moves(capacities: tuple[int, ...], limit: int, state: State) -> tuple[Move, ...]:
    left, *contents = state
    if left == 0:
        return ()
    fewest = moves_to_contents(capacities, limit)
    return tuple(
        Move(action, (left - 1, *after))
        for action, after in useful_actions(capacities, tuple(contents))
        if fewest.get(after) == limit - left + 1
    )


def numbered_moves(phrases: Phrases, actions: Iterable[str]) -> str:
    """`1) fill A, 2) pour A into B`."""
    numbered = enumerate(actions, 1)
    return ", ".join(phrases.render("move", number=n, action=action) for n, action in numbered)


def _render_action(phrases: Phrases, action: Action) -> str:
    name, jug, *into = action
    return phrases.render(name, jug=jug, into=into[0] if into else "")


def _read_action(phrases: Phrases, text: str) -> Action | None:
    found = phrases.match(text, "fill", "empty", "pour")
    if found is None or text != text.strip():
        return None
    return (found[0], *found[1].values())


def read_actions(phrases: Phrases, answer: str) -> list[Action] | None:
    """The moves of an answer in order, all numbered or none; None if one is unreadable."""
    parts = answer.strip().split(", ")
    numbered = [phrases.match(part, "move") for part in parts]
    if numbered[0]:
        parts = [
            move[1]["action"] if move and move[1]["number"] == str(number) else ""
            for number, move in enumerate(numbered, 1)
        ]
    actions = [_read_action(phrases, part) for part in parts]
    return None if None in actions else [action for action in actions if action]


def _read_next_step(
    spec: Spec, phrases: Phrases, text: str
) -> tuple[int | None, Action | None, dict[str, str]]:
    """Depth, action (None if it names a jug that does not exist), and all fields of the text."""
    found = phrases.match(text, "next_step")
    if found is None or not re.fullmatch(r"\d{1,4}", found[1]["depth"]):
        return None, None, {}
    action = _read_action(phrases, found[1]["action"])
    exists = action is not None and has_jugs(len(spec["capacities"]), action)
    return int(found[1]["depth"]), action if exists else None, found[1]


def _pour_fields(spec: Spec, before: State, action: Action) -> dict[str, object]:
    """The fields of a pour's texts; none for other actions.

    `held` and `there` are the amounts in the two jugs before, `left` and `now` those after.
    """
    if action[0] != "pour":
        return {}
    jug, into = map(JUGS.index, action[1:])
    held, there, capacity = before[1 + jug], before[1 + into], spec["capacities"][into]
    amount = min(held, capacity - there)
    return {
        "into": JUGS[into],
        "capacity": capacity,
        "held": held,
        "there": there,
        "room": capacity - there,
        "amount": amount,
        "left": held - amount,
        "now": there + amount,
    }


def _render_understanding(spec: Spec, phrases: Phrases, before: State, action: Action) -> str:
    name, jug, *_ = action
    index = JUGS.index(jug)
    fields = {"jug": jug, "held": before[1 + index], "capacity": spec["capacities"][index]}
    return phrases.render(f"understanding_{name}", **fields | _pour_fields(spec, before, action))


def _render_summary(spec: Spec, phrases: Phrases, before: State, move: Move) -> str:
    jugs, pour = _render_jugs(move.state[1:]), _pour_fields(spec, before, move.action)
    return phrases.render("summary_pour" if pour else "summary", jugs=jugs, **pour)


def _render_verification(spec: Spec, phrases: Phrases, state: State) -> str:
    left, *contents = state
    free = phrases.words["no_limit"] if spec["max_moves"] is None else ""
    return verification(phrases, contents, spec["target"], _limit(spec) - left, left, free)


def verification(
    phrases: Phrases, contents: Sequence[int], target: int, made: int, left: int, free: str = ""
) -> str:
    """For each jug, whether it holds the target; if none does, also the number of moves made.

    `free` stands in place of the limit where there is none.
    """
    whether = phrases.words["whether"]
    checks = ", ".join(
        phrases.render("check", jug=jug, amount=amount, whether=whether[amount == target])
        for jug, amount in zip(JUGS, contents, strict=False)
    )
    name = "goal" if target in contents else "open" if left else "dead"
    return phrases.render(name, target=target, checks=checks, made=made, moves=free or made + left)


def _render_jugs(contents: Sequence[int]) -> str:
    return ", ".join(f"{jug} {amount}" for jug, amount in zip(JUGS, contents, strict=False))


def _read_state(spec: Spec, jugs: str | None, depth: int | None, offset: int) -> State | None:
    """The state with the contents in the text `jugs`, after the step at `depth` + `offset`."""
    if jugs is None or depth is None:
        return None
    amounts = [re.fullmatch(r"([A-Z]) (\d{1,2})", part) for part in jugs.split(", ")]
    read = [amount.groups() for amount in amounts if amount]
    names = list(JUGS[: len(spec["capacities"])])
    if len(read) < len(amounts) or [jug for jug, _ in read] != names:
        return None
    return (_limit(spec) - depth - offset, *(int(amount) for _, amount in read))


TASK = Task.of_family(Jugs())
