"""Countdown's single skills: results of two numbers, whether one is the target, its questions.

random stream -> FactGroups
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from steiner.data.ordinary_text.facts import numbers, triple
from steiner.data.ordinary_text.generators import Fact, FactGroup, drills, join
from steiner.tasks import load_phrases
from steiner.tasks.countdown import verification

LIMIT = 99


def facts(rng: random.Random) -> Iterator[FactGroup]:
    """FactGroups about two numbers and about single replacements in a list."""
    return drills(rng, {_give: 3.0, _never: 2, _can: 2, _goal: 1, _combine: 3, _left: 0.7})


def results(left: int, right: int) -> list[int]:
    """Results of two numbers, left >= right, from 1 to LIMIT, in the order + - * /."""
    made = [left + right, left - right, left * right]
    if left % right == 0:
        made.append(left // right)
    return [result for result in made if 1 <= result <= LIMIT]


def _pair(rng: random.Random) -> tuple[int, int]:
    limit = rng.choice((9, 15, 30, LIMIT))
    left, right = rng.randint(1, rng.choice((limit, LIMIT))), rng.randint(1, limit)
    return max(left, right), min(left, right)


def _give(rng: random.Random) -> Fact:
    left, right = _pair(rng)
    prompt = rng.choice(("{} and {} give", "We hold {} {}. They give", "What do {} and {} give?"))
    return prompt.format(left, right), join(results(left, right), ", ")


def _never(rng: random.Random) -> Fact:
    """The task's words for a dead end, for two numbers and a target that they cannot reach."""
    left, right = _pair(rng)
    given = results(left, right)
    return _verified(left, right, rng.choice([n for n in range(1, LIMIT + 1) if n not in given]))


def _goal(rng: random.Random) -> Fact:
    """The task's words for a goal, for two numbers and a target that they reach."""
    left, right = _pair(rng)
    return _verified(left, right, rng.choice(results(left, right)))


def _verified(left: int, right: int, target: int) -> Fact:
    text = f"Now we hold {left} {right}. The target is {target}."
    return text, verification(load_phrases("countdown"), target, (left, right))


def _can(rng: random.Random) -> Fact:
    left, right = _pair(rng)
    given = results(left, right)
    target = rng.choice(given) if rng.random() < 0.5 else rng.randint(1, LIMIT)
    if target not in given:
        return f"Can {left} and {right} make {target}?", f"No, only {join(given, ', ')}"
    return f"Can {left} and {right} make {target}?", f"Yes, {_how(left, right, target)} = {target}"


def _how(left: int, right: int, target: int) -> str:
    """The first of the four operations that gives the target."""
    made = {"+": left + right, "-": left - right, "*": left * right, "/": left / right}
    operator = next(sign for sign, result in made.items() if result == target)
    return f"{left} {operator} {right}"


def _combine(rng: random.Random) -> Fact:
    """Replaces two of the numbers by their sum, difference, product or quotient."""
    left, operator, right, result = triple(rng)
    rest = sorted(numbers(rng, 1, 4), reverse=True)
    held = join(sorted([left, right, *rest], reverse=True))
    after = join(sorted([result, *rest], reverse=True))
    phrases = load_phrases("countdown")
    prompt = rng.choice(("{}. {} {} {}:", "{}. Use {} {} {}.", "{}. Replace {} {} {}."))
    prompt = prompt.format(f"We hold {held}", left, operator, right)
    if rng.random() < 0.3:
        return prompt, phrases.render("understanding", rest=join(rest))
    return prompt, phrases.render("summary", numbers=after)


def _left(rng: random.Random) -> Fact:
    held = numbers(rng, 2, 6)
    if rng.random() < 0.5:
        return f"We hold {join(held)}. How many numbers are left?", f"{len(held)} numbers left"
    gone = rng.choice(held)
    return f"We hold {join(held)}. Is {gone} one of them?", "Yes"
