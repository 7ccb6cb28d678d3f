"""A lesson: facts of one kind under a shared context, as running text or as a short dialogue.

Lesson -> Document

Every primitive skill is written once, as a prompt and its reply; here it becomes ordinary text or a
chat, so that the base knows both.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain


@dataclass(frozen=True, slots=True)
class Document:
    """What is told and what is replied to it, in turns: parts 1, 3, ... are replies.

    Who has read all that stands before a reply can know it; what is told is random.
    """

    parts: tuple[str, ...]
    is_dialogue: bool = False
    """Whether the chat template renders it, as turns of user and assistant; else it is one text."""


Fact = tuple[str, str]
"""A prompt and its reply: ('21 + 5 =', '26')."""

FactMaker = Callable[[random.Random], Fact]

Weights = dict[FactMaker, float]
"""Makers of facts, and how often each is drawn."""

CHAT_SHARE = 0.2
"""Share of lessons that are written as a dialogue."""

MIN_FACTS, MAX_FACTS = 4, 8
MAX_TURNS = 4


@dataclass(frozen=True, slots=True)
class Lesson:
    """Facts that share a context; the context is empty where they need none."""

    facts: tuple[Fact, ...]
    context: str = ""


def as_document(rng: random.Random, lesson: Lesson, chat_share: float = CHAT_SHARE) -> Document:
    """The lesson as a dialogue (`chat_share` of the time) or as text; no fact twice."""
    facts = tuple(dict.fromkeys(lesson.facts))
    head = f"{lesson.context}\n" if lesson.context else ""
    if rng.random() < chat_share:
        (prompt, reply), *more = facts[:MAX_TURNS]
        return Document((head + prompt, reply, *chain.from_iterable(more)), is_dialogue=True)
    separator = "\n" if rng.random() < 0.6 else ". "
    parts: list[str] = []
    for prompt, reply in facts:
        parts += f"{head}{prompt} ", reply.removesuffix(".")
        head = separator
    return Document((*parts, separator.rstrip()))


def drills(rng: random.Random, makers: Weights) -> Iterator[Lesson]:
    """Endless lessons without context, each of several facts from one maker, drawn by weight."""
    choices, weights = list(makers), list(makers.values())
    while True:
        (maker,) = rng.choices(choices, weights)
        count = rng.randint(MIN_FACTS, MAX_FACTS)
        yield Lesson(tuple(maker(rng) for _ in range(count)))


def contextual(
    rng: random.Random, makers: dict[Callable[[random.Random], Lesson], float]
) -> Iterator[Lesson]:
    """Endless lessons that bring their own context, each from one maker, drawn by weight."""
    choices, weights = list(makers), list(makers.values())
    while True:
        (maker,) = rng.choices(choices, weights)
        yield maker(rng)


def join(parts: Iterable[object], separator: str = " ") -> str:
    """Parts of any kind as text."""
    return separator.join(map(str, parts))
