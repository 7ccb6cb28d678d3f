"""Imitates how people type: letter case, punctuation, white space, numbers as words, typing errors.

segments of a question -> the question as typed

Names, numbers and grids are never misspelt, since nobody could solve the puzzle then; the marks and
spaces of a grid stay as they are.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from functools import partial
from typing import Any

from steiner.tasks.number_words import NumberWords


class Kind(Enum):
    """The kind of a piece of a question."""

    WORDS = 1
    FIELD = 2
    VERBATIM = 3
    """A field in which every mark counts, such as a grid."""


Segment = tuple[str, Kind]


class Verbatim(str):
    """The text of a field in which every mark counts."""

    __slots__ = ()


_SENTENCE_START = re.compile(r"(^|[.!?]\s+)([a-z])")
_MARK = re.compile(r"(?<=\w)[.,?!;](?=\s|$)")
_WORD = re.compile(r"[A-Za-z]{4,}")
_INTEGER = re.compile(r"(?<![\w.])\d{1,2}(?![\w.])")


@dataclass(frozen=True, slots=True)
class Habits:
    """Chance of each habit in one question."""

    lower: float = 0.12
    """All in lower case."""
    upper: float = 0.05
    """All in capitals."""
    sentence_case: float = 0.95
    """Sentences begin with a capital."""
    no_final_mark: float = 0.12
    """The last full stop or question mark is left out."""
    no_marks: float = 0.04
    """No full stops, commas or question marks between words at all."""
    typos: float = 0.12
    """One to three typing errors."""
    number_words: float = 0.0
    """Numbers up to 99 as words."""
    spaces: float = 0.12
    """Extra spaces and line ends."""

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Habits:
        """The habits of a voice; those not named have their default chance."""
        known = {field.name for field in fields(cls)}
        if unknown := set(table) - known:
            raise ValueError(f"unknown habit '{min(unknown)}'; known: {', '.join(sorted(known))}")
        return cls(**table)


def apply_habits(
    rng: random.Random, segments: Sequence[Segment], habits: Habits, numbers: NumberWords
) -> str:
    """The question as typed by a person with those habits, who has those words for numbers."""
    if rng.random() < habits.typos:
        segments = _misspelt(rng, segments)
    if rng.random() < habits.number_words:
        segments = _changed(segments, partial(_in_words, numbers))
    if rng.random() < habits.no_marks:
        segments = _changed(segments, lambda text: _MARK.sub("", text))
    elif rng.random() < habits.no_final_mark and segments[-1][1] is not Kind.VERBATIM:
        segments = [*segments[:-1], (segments[-1][0].rstrip(" .?!"), segments[-1][1])]
    if rng.random() < habits.spaces:
        segments = _changed(segments, partial(_spaced, rng, rng.random() < 0.5))
    text = "".join(text for text, _ in segments).strip()
    if rng.random() < habits.sentence_case:
        text = _SENTENCE_START.sub(lambda found: found[1] + found[2].upper(), text)
    if rng.random() < habits.lower:
        text = text.lower()
    elif rng.random() < habits.upper:
        text = text.upper()
    return text


def _changed(segments: Sequence[Segment], change: Callable[[str], str]) -> list[Segment]:
    """The segments with a change to all of them that are not verbatim."""
    return [(text if kind is Kind.VERBATIM else change(text), kind) for text, kind in segments]


def _in_words(numbers: NumberWords, text: str) -> str:
    return _INTEGER.sub(lambda found: numbers.singulars[int(found[0])], text)


def _misspelt(rng: random.Random, segments: Sequence[Segment]) -> list[Segment]:
    """One to three words outside fields with a letter dropped, doubled, swapped or replaced."""
    words = [
        (index, found.span())
        for index, (text, kind) in enumerate(segments)
        if kind is Kind.WORDS
        for found in _WORD.finditer(text)
    ]
    chosen = rng.sample(words, min(len(words), rng.randint(1, 3)))
    texts = [text for text, _ in segments]
    for index, (start, end) in sorted(chosen, reverse=True):
        text = texts[index]
        texts[index] = text[:start] + _mistyped(rng, text[start:end]) + text[end:]
    return [(text, kind) for text, (_, kind) in zip(texts, segments, strict=True)]


def _mistyped(rng: random.Random, word: str) -> str:
    place = rng.randrange(1, len(word) - 1)
    letter, following = word[place], word[place + 1]
    changed = rng.choice(
        ("", letter * 2, following + letter, rng.choice("abcdefghijklmnopqrstuvwxyz"))
    )
    taken = 2 if changed == following + letter else 1
    return word[:place] + changed + word[place + taken :]


def _spaced(rng: random.Random, in_lines: bool, text: str) -> str:
    """A line end in place of the space after each sentence, or some single spaces doubled."""
    if in_lines:
        return re.sub(r"(?<=[.!?:]) ", "\n", text)
    return "".join(c * rng.choice((1, 1, 2, 3)) if c == " " else c for c in text)
