"""Countdown: reach a target by combining all given numbers with + - * /, each number once.

A state is the numbers that are left, largest first. A move replaces two of them by a result from 1
to 99. If two numbers are left, the verification looks one step ahead and finds the last equation.
Twin of reasoning-gym's `countdown`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any

from steiner.tasks.countdown_answers import is_right_answer
from steiner.tasks.countdown_rules import (
    MAX_RESULT,
    apply_operator,
    last_action,
    moves_from,
    pair_actions,
    random_result,
    reachable,
)
from steiner.tasks.countdown_wording import question_fields, training_fields
from steiner.tasks.givens import has_numbers
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
from steiner.types import Action, Problem, Spec, Split, State, StepTexts, Verdict

LEVELS = {1: (3, 12), 2: (4, 9), 3: (4, 15), 4: (5, 15)}
"""Level -> how many numbers, and the largest possible one.

Level 1 has 4,305 problems, of which 207 are in the test split; with numbers up to 9 it would have
1,925 and 96.
"""

MAX_NUMBERS = 6
"""More numbers make too many states to search."""
_MAX_SOLVED = 5
"""Numbers up to which reading a question looks for a solution; six take seconds."""

_NUMBER = re.compile(r"\d{1,4}")


class Countdown:
    """Three to five numbers and a target."""

    name = "countdown"
    levels = range(1, 5)

    def generate(self, rng: random.Random, level: int) -> Spec:
        count, largest = LEVELS[level]
        while True:
            numbers = sorted((rng.randint(1, largest) for _ in range(count)), reverse=True)
            target = random_result(rng, numbers)
            if target is not None and target not in numbers:
                return {"numbers": numbers, "target": target}

    def canonical_text(self, spec: Spec) -> str:
        return f"{sorted(spec['numbers'])}->{spec['target']}"

    def start(self, spec: Spec) -> State:
        return tuple(sorted(spec["numbers"], reverse=True))

    def moves(self, spec: Spec, state: State) -> Sequence[Move]:
        return moves_from(state) if len(state) > 2 else ()

    def verdict(self, spec: Spec, state: State) -> Verdict:
        if len(state) > 2:
            return Verdict.OPEN
        return Verdict.GOAL if last_action(state, spec["target"]) else Verdict.DEAD

    def step_texts(self, problem: Problem, depth: int, before: State, move: Move) -> StepTexts:
        spec, phrases = problem.spec, phrases_of(problem)
        equation = _render_equation(phrases, move.action)
        return StepTexts(
            phrases.render("next_step", depth=depth, numbers=_join(before), equation=equation),
            phrases.render("understanding", rest=_join(_rest(before, *move.action[1:]))),
            phrases.render("summary", numbers=_join(move.state)),
            verification(phrases, spec["target"], move.state),
        )

    def read_step(self, problem: Problem, texts: StepTexts) -> StepReading:
        spec, phrases = problem.spec, phrases_of(problem)
        depth, before, action, is_true = _read_next_step(phrases, texts.next_step)
        summary = phrases.match(texts.summary, "summary")
        after = _read_numbers(summary[1]["numbers"]) if summary else None
        verdict, sound = self._read_verification(spec, phrases, texts.verification, after)
        if before and action:
            left_over = phrases.render("understanding", rest=_join(_rest(before, *action[1:])))
            is_true = is_true and texts.understanding.strip() == left_over
        return StepReading(depth, action, before, after, verdict, sound and is_true)

    def _read_verification(
        self, spec: Spec, phrases: Phrases, text: str, after: State | None
    ) -> tuple[Verdict | None, bool]:
        verdict = phrases.match_verdict(text)
        if verdict is None or after is None or len(after) < 2:
            return None, False
        return verdict, text.strip() == verification(phrases, spec["target"], after)

    def question(
        self, spec: Spec, language: str, rng: random.Random, split: Split
    ) -> WordedQuestion:
        grammar = load_grammar(self.name, language)
        given, missing = dict(spec), spec.get("missing", "")
        given.setdefault("numbers", [1])
        fields = question_fields(given["numbers"], given.get("target", 0), grammar, rng)
        if split is Split.TRAIN:
            fields |= training_fields(given["numbers"], given.get("target", 0), grammar, rng)
        if missing:
            return WordedQuestion(grammar.missing(rng, split, missing, fields), "missing")
        voice, text = grammar.question(rng, split, fields)
        return WordedQuestion(text, voice)

    def unanswerable(self, rng: random.Random, level: int) -> Spec:
        """A target that three numbers cannot reach, or a question without target or numbers."""
        spec = dict(self.generate(rng, level))
        if rng.random() < 0.5:
            missing = rng.choice(("target", "numbers"))
            del spec[missing]
            return {**spec, "no_answer": NoAnswer.MISSING.value, "missing": missing}
        while True:
            spec = dict(self.generate(rng, 1))
            target = rng.randint(1, MAX_RESULT)
            if target not in reachable(self.start(spec)):
                return {**spec, "target": target, "no_answer": NoAnswer.NO_SOLUTION.value}

    def follow_up(
        self, spec: Spec, language: str, rng: random.Random, split: Split
    ) -> tuple[Spec, str] | None:
        """Another target for the same numbers, or one number replaced."""
        grammar, numbers = load_grammar(self.name, language), list(spec["numbers"])
        if rng.random() < 0.5:
            targets = sorted(reachable(self.start(spec)) - {spec["target"], *numbers})
            if not targets:
                return None
            text = grammar.follow_up(rng, split, "new_target", {"target": str(spec["target"])})
            return {**spec, "target": rng.choice(targets)}, text
        new, old = rng.choice(numbers), rng.randint(1, max(numbers) + 2)
        before = sorted([*_rest(numbers, new), old], reverse=True)
        if old in numbers or spec["target"] not in reachable(tuple(before)):
            return None
        fields = {"old": str(old), "new": str(new)}
        return {**spec, "numbers": before}, grammar.follow_up(rng, split, "replace_number", fields)

    def reading(self, problem: Problem) -> StepTexts:
        spec, phrases = problem.spec, phrases_of(problem)
        unknown = phrases.words["unknown"]
        restated = phrases.render(
            "reading",
            numbers=_join(spec["numbers"]) if "numbers" in spec else unknown,
            target=spec.get("target", unknown),
        )
        if not has_search(spec):
            return reading_without_search(spec, problem.language, restated)
        state = self.start(spec)
        summary = phrases.render("summary", numbers=_join(state))
        checked = verification(phrases, spec["target"], state)
        return reading_step(problem.language, restated, summary, checked)

    def read_question(self, understanding: str, language: str) -> Spec | None:
        phrases = load_phrases(self.name, language)
        found = phrases.match(understanding, "reading")
        if found is None:
            return None
        unknown, spec = phrases.words["unknown"], dict[str, Any]()
        if found[1]["numbers"] != unknown:
            numbers = _read_numbers(found[1]["numbers"])
            if numbers is None or not 2 <= len(numbers) <= MAX_NUMBERS:
                return None
            spec["numbers"] = sorted(numbers, reverse=True)
        if found[1]["target"] != unknown:
            if not _NUMBER.fullmatch(found[1]["target"]):
                return None
            spec["target"] = int(found[1]["target"])
        for name in ("numbers", "target"):
            if name not in spec:
                return {**spec, "no_answer": NoAnswer.MISSING.value, "missing": name}
        few = len(spec["numbers"]) <= _MAX_SOLVED
        if few and spec["target"] not in reachable(self.start(spec)):
            return {**spec, "no_answer": NoAnswer.NO_SOLUTION.value}
        return spec

    def is_stated(self, spec: Spec, text: str, language: str) -> bool:
        return has_numbers(text, (*spec["numbers"], spec["target"]), language)

    def answer(self, problem: Problem, branch: Sequence[tuple[State, Move]]) -> str:
        spec, phrases = problem.spec, phrases_of(problem)
        actions = [move.action for _, move in branch]
        last = last_action(branch[-1][1].state, spec["target"])
        return ", ".join(
            _render_equation(phrases, action) for action in (*actions, last) if action is not None
        )

    def grade(self, problem: Problem, answer: str) -> Grade:
        if no_answer(problem.spec):
            return grade_no_answer(problem, answer)
        return grade_of(is_right_answer(problem.spec, answer))


def _render_equation(phrases: Phrases, action: Action) -> str:
    """`9 * 5 = 45`."""
    operator, left, right = action
    result = apply_operator(operator, left, right)
    return phrases.render("equation", left=left, operator=operator, right=right, result=result)


def _join(numbers: Sequence[int], separator: str = " ") -> str:
    return separator.join(map(str, numbers))


def _integers(*texts: str) -> tuple[int, ...]:
    return tuple(int(text) if _NUMBER.fullmatch(text) else -1 for text in texts)


def _rest(numbers: Sequence[int], *taken: int) -> list[int]:
    """The numbers without one copy of each of `taken`."""
    rest = list(numbers)
    for number in taken:
        if number in rest:
            rest.remove(number)
    return rest


def _read_next_step(
    phrases: Phrases, text: str
) -> tuple[int | None, State | None, Action | None, bool]:
    """Depth, the numbers before, action, and whether the equation is true."""
    found = phrases.match(text, "next_step")
    equation = phrases.match(found[1]["equation"], "equation") if found else None
    if found is None or equation is None:
        return None, None, None, False
    (depth,) = _integers(found[1]["depth"])
    left, right, result = _integers(*(equation[1][key] for key in ("left", "right", "result")))
    operator = equation[1]["operator"]
    is_true = result == apply_operator(operator, left, right)
    return depth, _read_numbers(found[1]["numbers"]), (operator, left, right), is_true


def _read_numbers(text: str) -> State | None:
    numbers = text.split(" ")
    return _integers(*numbers) if all(n.isdecimal() for n in numbers) else None


def verification(phrases: Phrases, target: int, state: State) -> str:
    """The results of the last two numbers in the order + - * /, up to the target.

    With more than two numbers, only how many are left.
    """
    if len(state) > 2:
        return phrases.render("open", count=len(state), target=target)
    whether, checks = phrases.words["whether"], []
    for action, result in pair_actions(*state):
        equation = _render_equation(phrases, action)
        checks.append(phrases.render("check", result=equation, whether=whether[result == target]))
        if result == target:
            return phrases.render("goal", target=target, checks=", ".join(checks))
    return phrases.render("dead", target=target, checks=", ".join(checks))


TASK = Task.of_family(Countdown())
