"""Generators of ordinary text: facts of one kind, written as running text or as a short dialogue.

FactGroup -> Document

Each skill is defined once, as a prompt and its reply. It is written in both forms, so that the base
model knows both.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain


@dataclass(frozen=True, slots=True)
class Document:
    """Prompts and replies in turns: parts 1, 3, ... are replies.

    A reply follows from what precedes it; prompts are random.
    """

    parts: tuple[str, ...]
    is_dialogue: bool = False
    """True if the chat template renders it as turns of user and assistant; else it is one text."""


Fact = tuple[str, str]
"""A prompt and its reply: ('21 + 5 =', '26')."""

FactMaker = Callable[[random.Random], Fact]

Weights = dict[FactMaker, float]
"""Makers of facts with their probability weights."""

CHAT_SHARE = 0.2
"""Share of groups that are written as a dialogue."""

MIN_FACTS, MAX_FACTS = 4, 8
MAX_TURNS = 4


@dataclass(frozen=True, slots=True)
class FactGroup:
    """Facts that share a context; the context is empty if they need none."""

    facts: tuple[Fact, ...]
    context: str = ""


def as_document(rng: random.Random, group: FactGroup, chat_share: float = CHAT_SHARE) -> Document:
    """The facts as a dialogue (`chat_share` of the time) or as text, without repetitions."""
    facts = tuple(dict.fromkeys(group.facts))
    head = f"{group.context}\n" if group.context else ""
    if rng.random() < chat_share:
        (prompt, reply), *more = facts[:MAX_TURNS]
        return Document((head + prompt, reply, *chain.from_iterable(more)), is_dialogue=True)
    separator = "\n" if rng.random() < 0.6 else ". "
    parts: list[str] = []
    for prompt, reply in facts:
        parts += f"{head}{prompt} ", reply.removesuffix(".")
        head = separator
    return Document((*parts, separator.rstrip()))


def drills(rng: random.Random, makers: Weights) -> Iterator[FactGroup]:
    """Endless groups without context, each of several facts from one maker, drawn by weight."""
    choices, weights = list(makers), list(makers.values())
    while True:
        (maker,) = rng.choices(choices, weights)
        count = rng.randint(MIN_FACTS, MAX_FACTS)
        yield FactGroup(tuple(maker(rng) for _ in range(count)))


def contextual(
    rng: random.Random, makers: dict[Callable[[random.Random], FactGroup], float]
) -> Iterator[FactGroup]:
    """Endless groups with their own context, each from one maker, drawn by weight."""
    choices, weights = list(makers), list(makers.values())
    while True:
        (maker,) = rng.choices(choices, weights)
        yield maker(rng)


def join(parts: Iterable[object], separator: str = " ") -> str:
    """Parts of any kind as text."""
    return separator.join(map(str, parts))
