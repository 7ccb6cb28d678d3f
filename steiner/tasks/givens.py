"""Whether a question contains the givens of a reading: if not, the model has misread or invented
them, and an answer to its reading says nothing about the question.

text of a dialogue, numbers or names -> True or False
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from steiner.tasks.typing_habits import number_in_words

_IN_WORDS = {number_in_words(number): number for number in range(100)}
_LONGEST_FIRST = sorted(_IN_WORDS, key=len, reverse=True)
_HYPHEN = r"[- \u2011]"
_WORDS = re.compile(rf"\b(?:{'|'.join(_LONGEST_FIRST).replace('-', _HYPHEN)})\b", re.IGNORECASE)
_SEVERAL = re.compile(r"\b(?:two|three|four|both|each|pair|twice|double|times|\d+ ?x)\b|×", re.I)
"""Words after which one mention of a number may stand for several: "two 5s"."""


def has_numbers(text: str, numbers: Iterable[int]) -> bool:
    """True if every number is in the text, as a whole number or in words, as often as given."""
    found = Counter(map(int, re.findall(r"\d+", text))) + Counter(_in_words(text))
    needed = Counter(numbers)
    if _SEVERAL.search(text):
        return all(number in found for number in needed)
    return all(found[number] >= count for number, count in needed.items())


def has_digits(text: str, digits: Iterable[int]) -> bool:
    """True if every digit is in the text as often as given, also within `1__4` or in words."""
    found = Counter(map(int, re.findall(r"\d", text))) + Counter(_in_words(text))
    return all(found[digit] >= count for digit, count in Counter(digits).items())


def has_names(text: str, names: Iterable[str]) -> bool:
    """True if every name is in the text, in any letter case."""
    return all(name.casefold() in text.casefold() for name in names)


def _in_words(text: str) -> Iterator[int]:
    """The numbers that the text has in words."""
    for word in _WORDS.findall(text):
        yield _IN_WORDS[re.sub(_HYPHEN, "-", word.casefold())]
