"""Checks that a question contains the givens of a reading.

If not, the model has misread or invented them, and its answer says nothing about the question.

text of a dialogue, numbers or names -> True or False
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from steiner.tasks.typing_habits import number_in_words, plural_in_words

_SINGULAR = {number_in_words(number): number for number in range(100)}
_IN_WORDS = _SINGULAR | {plural_in_words(number): number for number in range(100)}
_LONGEST_FIRST = sorted(_IN_WORDS, key=len, reverse=True)
_HYPHEN = r"[- \u2011]"
_WORDS = re.compile(rf"\b(?:{'|'.join(_LONGEST_FIRST).replace('-', _HYPHEN)})\b", re.IGNORECASE)
_SEVERAL = re.compile(
    r"\b(?:two|three|four|both|each|pair|couple|twice|double|times|\d+ ?x|x ?\d+)\b|×", re.I
)
"""Words after which one mention of a number may stand for several: "two 5s"."""
_HOW_OFTEN = re.compile(r"\(x ?\d\)|\b1 ?x\b", re.I)
"""A mark that says how often a number is given: "5 (x2)", "each 1x"."""


def has_numbers(text: str, numbers: Iterable[int]) -> bool:
    """True if every number is in the text, as a whole number or in words, as often as given.

    In a text such as "two 5s" one mention may stand for several, if no number in digits is left
    over: "two jugs of 3 and 8" has no second 3.
    """
    in_digits = Counter(map(int, re.findall(r"\d+", text)))
    found = in_digits + Counter(_in_words(text))
    needed = Counter(numbers)
    if all(found[number] >= count for number, count in needed.items()):
        return True
    digits = re.findall(r"\d+", _HOW_OFTEN.sub("", text))
    is_left_over = any(int(number) not in needed for number in digits)
    return (
        _SEVERAL.search(text) is not None
        and not is_left_over
        and all(number in found for number in needed)
    )


def has_digits(text: str, digits: Iterable[int]) -> bool:
    """True if every digit is in the text as often as given, also within `1__4` or in words."""
    found = Counter(map(int, re.findall(r"\d", text))) + Counter(_in_words(text))
    return all(found[digit] >= count for digit, count in Counter(digits).items())


def has_names(text: str, names: Sequence[str]) -> bool:
    """True if the names differ and every one is in the text as whole words, in any letter case."""
    folded = [name.casefold() for name in names]
    words = (rf"(?<!\w){re.escape(name)}(?!\w)" for name in folded)
    return len({*folded}) == len(folded) and all(re.search(w, text.casefold()) for w in words)


def _in_words(text: str) -> Iterator[int]:
    """The numbers that the text has in words."""
    for word in _WORDS.findall(text):
        yield _IN_WORDS[re.sub(_HYPHEN, "-", word.casefold())]
