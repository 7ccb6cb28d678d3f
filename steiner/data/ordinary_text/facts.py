"""Arithmetic within 0..99, comparisons and order.

random stream -> FactGroups
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache

from steiner.data.ordinary_text.generators import Fact, FactGroup, Weights, drills, join

LIMIT = 99

_OPERATORS: dict[str, float] = {"+": 35, "-": 30, "*": 20, "/": 15}
"""Operator -> how often it is drawn."""

_WORDS = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}

_PHRASINGS = (
    ("{a} {op} {b} =", "{c}"),
    ("{a} {op} {b} =", "{c}"),
    ("{a} {op} {b} =", "{c}"),
    ("What is {a} {op} {b}?", "{c}"),
    ("What is {a} {word} {b}?", "{c}"),
    ("{a} {word} {b} is", "{c}"),
    ("{a} {word} {b} equals", "{c}"),
    ("{a} {op} {b} makes", "{c}"),
    ("Work out {a} {op} {b}:", "{a} {op} {b} = {c}"),
    ("How much is {a} {word} {b}?", "It is {c}"),
)

_NAMED = {
    "+": ("The sum of {a} and {b} is", "{c}"),
    "-": ("The difference of {a} and {b} is", "{c}"),
    "*": ("The product of {a} and {b} is", "{c}"),
    "/": ("{a} shared by {b} gives", "{c}"),
}


def arithmetic(rng: random.Random) -> Iterator[FactGroup]:
    """FactGroups about sums, differences, products, quotients and missing operands."""
    makers: Weights = {
        _equation: 8.0,
        _named: 1,
        _missing: 1,
        _true_or_false: 1,
        _makes: 1,
        _double: 0.3,
    }
    return drills(rng, makers)


def comparisons(rng: random.Random) -> Iterator[FactGroup]:
    """FactGroups about more and less, sorting, and list members."""
    makers: Weights = {
        _larger: 1.0,
        _is_more: 1,
        _sort: 2,
        _extreme: 1,
        _among: 2,
        _next: 0.5,
        _parity: 0.3,
    }
    return drills(rng, makers)


@cache
def _triples(operator: str, limit: int) -> tuple[tuple[int, int, int], ...]:
    """All (a, b, c) with a operator b = c and all three from 0 to `limit`."""
    pairs = [(a, b) for a in range(limit + 1) for b in range(limit + 1)]
    if operator == "+":
        return tuple((a, b, a + b) for a, b in pairs if a + b <= limit)
    if operator == "-":
        return tuple((a, b, a - b) for a, b in pairs if b <= a)
    if operator == "*":
        return tuple((a, b, a * b) for a, b in pairs if a * b <= limit)
    return tuple((a, b, a // b) for a, b in pairs if b and a % b == 0)


def triple(rng: random.Random) -> tuple[int, str, int, int]:
    """A random true equation: a, operator, b, result."""
    (operator,) = rng.choices(list(_OPERATORS), list(_OPERATORS.values()))
    limit = rng.choice((30, LIMIT))
    a, b, c = rng.choice(_triples(operator, limit))
    if operator in "*/" and min(a, b) < 2:  # such facts are many and easy: half as often
        a, b, c = rng.choice(_triples(operator, limit))
    return a, operator, b, c


def _equation(rng: random.Random) -> Fact:
    a, op, b, c = triple(rng)
    prompt, reply = rng.choice(_PHRASINGS)
    fields = {"a": a, "b": b, "c": c, "op": op, "word": _WORDS[op]}
    return prompt.format_map(fields), reply.format_map(fields)


def _named(rng: random.Random) -> Fact:
    a, op, b, c = triple(rng)
    prompt, reply = _NAMED[op]
    return prompt.format(a=a, b=b), reply.format(c=c)


def _missing(rng: random.Random) -> Fact:
    a, op, b, c = triple(rng)
    if a == 0 and op in "*/":
        return f"{a} {op} {b} =", str(c)
    return f"{a} {op} what is {c}?", str(b)


def _true_or_false(rng: random.Random) -> Fact:
    a, op, b, c = triple(rng)
    shown = c if rng.random() < 0.5 else rng.randint(0, LIMIT)
    verdict = "Yes" if shown == c else f"No, it is {c}"
    return f"Is {a} {op} {b} equal to {shown}?", verdict


def _makes(rng: random.Random) -> Fact:
    a, op, b, c = triple(rng)
    return f"A way to make {c}:", f"{a} {op} {b} = {c}"


def _double(rng: random.Random) -> Fact:
    number = rng.randint(0, 49)
    if rng.random() < 0.5:
        return f"Twice {number} is", str(2 * number)
    return f"Half of {2 * number} is", str(number)


def _larger(rng: random.Random) -> Fact:
    a, b = rng.sample(range(LIMIT + 1), 2)
    if rng.random() < 0.5:
        return f"Which is larger, {a} or {b}?", str(max(a, b))
    return f"Which is smaller, {a} or {b}?", str(min(a, b))


def _is_more(rng: random.Random) -> Fact:
    a, b = rng.randint(0, LIMIT), rng.randint(0, LIMIT)
    relation, true = rng.choice((("more than", a > b), ("less than", a < b), ("equal to", a == b)))
    return f"Is {a} {relation} {b}?", "Yes" if true else "No"


def numbers(rng: random.Random, low: int = 2, high: int = 6) -> list[int]:
    """A list of random numbers, often small ones."""
    limit = rng.choice((9, 15, 30, LIMIT))
    return [rng.randint(1, limit) for _ in range(rng.randint(low, high))]


def _sort(rng: random.Random) -> Fact:
    listed = numbers(rng)
    if rng.random() < 0.8:
        return f"{join(listed)}, largest first:", join(sorted(listed, reverse=True))
    return f"{join(listed)}, smallest first:", join(sorted(listed))


def _extreme(rng: random.Random) -> Fact:
    listed = numbers(rng)
    word, value = rng.choice((("largest", max(listed)), ("smallest", min(listed))))
    return f"The {word} of {join(listed)} is", str(value)


def _among(rng: random.Random) -> Fact:
    listed = numbers(rng)
    asked = rng.choice(listed) if rng.random() < 0.5 else rng.randint(1, max(listed) + 5)
    verdict = "Yes" if asked in listed else "No"
    return f"Is {asked} among {join(listed, ', ')}?", verdict


def _next(rng: random.Random) -> Fact:
    number = rng.randint(1, LIMIT - 1)
    word, value = rng.choice((("after", number + 1), ("before", number - 1)))
    return f"The number {word} {number} is", str(value)


def _parity(rng: random.Random) -> Fact:
    number = rng.randint(0, LIMIT)
    return f"Is {number} even or odd?", "odd" if number % 2 else "even"
