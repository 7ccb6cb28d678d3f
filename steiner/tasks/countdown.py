"""Countdown: reach a target by combining all given numbers with + - * /, each number once.

A state is the numbers that are left, largest first. A move replaces two of them by a result from 1
to 99. If two numbers are left, the verification looks one step ahead and finds the last equation.
Twin of reasoning-gym's `countdown`.
"""

from __future__ import annotations

import ast
import random
import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

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

MAX_RESULT = 99
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
_EQUATION = re.compile(r"(\d{1,4}) ?([-+*/]) ?(\d{1,4}) ?= ?(\d{1,4})")
_MAX_EXPRESSION = 200
"""Characters; longer expressions are not evaluated."""

Equation = tuple[int, str, int, int]
"""Left operand, operator, right operand, result."""


class Countdown:
    """Three to five numbers and a target."""

    name = "countdown"
    levels = range(1, 5)

    def generate(self, rng: random.Random, level: int) -> Spec:
        count, largest = LEVELS[level]
        while True:
            numbers = sorted((rng.randint(1, largest) for _ in range(count)), reverse=True)
            target = _random_result(rng, numbers)
            if target is not None and target not in numbers:
                return {"numbers": numbers, "target": target}

    def canonical_text(self, spec: Spec) -> str:
        return f"{sorted(spec['numbers'])}->{spec['target']}"

    def start(self, spec: Spec) -> State:
        return tuple(sorted(spec["numbers"], reverse=True))

    def moves(self, spec: Spec, state: State) -> Sequence[Move]:
        return _moves(state) if len(state) > 2 else ()

    def verdict(self, spec: Spec, state: State) -> Verdict:
        if len(state) > 2:
            return Verdict.OPEN
        return Verdict.GOAL if _last_action(state, spec["target"]) else Verdict.DEAD

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
            if target not in _reachable(self.start(spec)):
                return {**spec, "target": target, "no_answer": NoAnswer.NO_SOLUTION.value}

    def follow_up(
        self, spec: Spec, language: str, rng: random.Random, split: Split
    ) -> tuple[Spec, str] | None:
        """Another target for the same numbers, or one number replaced."""
        grammar, numbers = load_grammar(self.name, language), list(spec["numbers"])
        if rng.random() < 0.5:
            targets = sorted(_reachable(self.start(spec)) - {spec["target"], *numbers})
            if not targets:
                return None
            text = grammar.follow_up(rng, split, "new_target", {"target": str(spec["target"])})
            return {**spec, "target": rng.choice(targets)}, text
        new, old = rng.choice(numbers), rng.randint(1, max(numbers) + 2)
        before = sorted([*_rest(numbers, new), old], reverse=True)
        if old in numbers or spec["target"] not in _reachable(tuple(before)):
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
        if few and spec["target"] not in _reachable(self.start(spec)):
            return {**spec, "no_answer": NoAnswer.NO_SOLUTION.value}
        return spec

    def is_stated(self, spec: Spec, text: str, language: str) -> bool:
        return has_numbers(text, (*spec["numbers"], spec["target"]), language)

    def answer(self, problem: Problem, branch: Sequence[tuple[State, Move]]) -> str:
        spec, phrases = problem.spec, phrases_of(problem)
        actions = [move.action for _, move in branch]
        last = _last_action(branch[-1][1].state, spec["target"])
        return ", ".join(
            _render_equation(phrases, action) for action in (*actions, last) if action is not None
        )

    def grade(self, problem: Problem, answer: str) -> Grade:
        if no_answer(problem.spec):
            return grade_no_answer(problem, answer)
        return grade_of(self._is_right(problem, answer))

    def _is_right(self, problem: Problem, answer: str) -> bool | None:
        """True if equations or one expression reach the target; None if unreadable."""
        text = answer.strip()
        is_right = _are_right_equations if "=" in text else _is_right_expression
        return is_right(problem.spec, text)


def _apply(operator: str, left: int, right: int) -> int | None:
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


@cache
def _pair_actions(left: int, right: int) -> tuple[tuple[Action, int], ...]:
    """Actions on two numbers, left >= right, with their results."""
    results = ((op, _apply(op, left, right)) for op in "+-*/")
    return tuple(((op, left, right), result) for op, result in results if result is not None)


@cache
def _moves(state: State) -> tuple[Move, ...]:
    found: dict[Action, Move] = {}
    for i, left in enumerate(state):
        for j in range(i + 1, len(state)):
            rest = state[:i] + state[i + 1 : j] + state[j + 1 :]
            for action, result in _pair_actions(left, state[j]):
                if action not in found:
                    after = tuple(sorted((*rest, result), reverse=True))
                    found[action] = Move(action, after)
    return tuple(found.values())


def _last_action(state: State, target: int) -> Action | None:
    """The first action that turns two numbers into the target."""
    pairs = _pair_actions(*state)
    return next((action for action, result in pairs if result == target), None)


@lru_cache(1 << 14)
def _reachable(state: State) -> frozenset[int]:
    """All results of combining all numbers of `state`."""
    if len(state) == 1:
        return frozenset(state)
    return frozenset().union(*(_reachable(move.state) for move in _moves(state)))


def _random_result(rng: random.Random, numbers: Sequence[int]) -> int | None:
    """The result of a random walk that uses all numbers; None if the walk cannot go on."""
    state = tuple(numbers)
    while len(state) > 1:
        moves = _moves(state)
        if not moves:
            return None
        state = rng.choice(moves).state
    return int(state[0])


def _render_equation(phrases: Phrases, action: Action) -> str:
    """`9 * 5 = 45`."""
    operator, left, right = action
    result = _apply(operator, left, right)
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
    is_true = result == _apply(operator, left, right)
    return depth, _read_numbers(found[1]["numbers"]), (operator, left, right), is_true


def _read_numbers(text: str) -> State | None:
    numbers = text.split(" ")
    return _integers(*numbers) if all(n.isdecimal() for n in numbers) else None


def read_equations(answer: str) -> list[Equation] | None:
    """The equations in `a op b = c, ...`; None if the answer contains anything else."""
    found = [_EQUATION.fullmatch(part) for part in answer.strip().split(", ")]
    if any(match is None for match in found):
        return None
    groups = [match.groups() for match in found if match]
    return [(int(a), op, int(b), int(c)) for a, op, b, c in groups]


def _are_right_equations(spec: Spec, answer: str) -> bool | None:
    """True if equations combine all numbers one by one into the target; None if unreadable."""
    equations = read_equations(answer)
    if equations is None:
        return None
    numbers: list[int] | None = list(spec["numbers"])
    for equation in equations:
        numbers = numbers and _combined(numbers, equation)
    return numbers == [spec["target"]]


def _combined(numbers: Sequence[int], equation: Equation) -> list[int] | None:
    """The numbers after an equation replaces two of them by its result; None if it is false."""
    left, operator, right, result = equation
    rest = list(numbers)
    for operand in (left, right):
        if operand not in rest:
            return None
        rest.remove(operand)
    is_true = _exact(operator, Fraction(left), Fraction(right)) == result
    return [*rest, result] if is_true else None


def _is_right_expression(spec: Spec, answer: str) -> bool | None:
    """True if one expression uses each number once and equals the target; None if unreadable."""
    if len(answer) > _MAX_EXPRESSION or not re.fullmatch(r"[\d+\-*/() ]+", answer):
        return None
    try:
        tree = ast.parse(answer, mode="eval").body
    except (SyntaxError, ValueError):
        return None
    used = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return Counter(used) == Counter(spec["numbers"]) and _value(tree) == spec["target"]


def _value(node: ast.expr) -> Fraction | None:
    if isinstance(node, ast.Constant):
        return Fraction(node.value) if isinstance(node.value, int) else None
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _value(node.left), _value(node.right)
    signs = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
    operator = signs.get(type(node.op))
    if left is None or right is None or operator is None:
        return None
    return _exact(operator, left, right)


def _exact(operator: str, left: Fraction, right: Fraction) -> Fraction | None:
    if operator == "/":
        return left / right if right else None
    return {"+": left + right, "-": left - right, "*": left * right}[operator]


def verification(phrases: Phrases, target: int, state: State) -> str:
    """The results of the last two numbers in the order + - * /, up to the target.

    With more than two numbers, only how many are left.
    """
    if len(state) > 2:
        return phrases.render("open", count=len(state), target=target)
    whether, checks = phrases.words["whether"], []
    for action, result in _pair_actions(*state):
        equation = _render_equation(phrases, action)
        checks.append(phrases.render("check", result=equation, whether=whether[result == target]))
        if result == target:
            return phrases.render("goal", target=target, checks=", ".join(checks))
    return phrases.render("dead", target=target, checks=", ".join(checks))


TASK = Task.of_family(Countdown())
