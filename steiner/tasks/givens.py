"""Checks that a question contains the givens of a reading.

If not, the model has misread or invented them, and its answer says nothing about the question.

text of a dialogue, numbers or names -> True or False
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from steiner.tasks.question_grammar import load_numbers

_HYPHEN = r"[- \u2011]"
_MARKED = r"\b(?:\d+ ?x|x ?\d+)\b|×"
"""Marks after which one mention of a number may stand for several: "2x 5"."""
_HOW_OFTEN = re.compile(r"\(x ?\d\)|\b1 ?x\b", re.I)
"""A mark that says how often a number is given: "5 (x2)", "each 1x"."""


def has_numbers(text: str, numbers: Iterable[int], language: str = "en") -> bool:
    """True if every number is in the text, as a whole number or in words, as often as given.

    In a text such as "two 5s" one mention may stand for several, if no number in digits is left
    over: "two jugs of 3 and 8" has no second 3.
    """
    in_digits = Counter(map(int, re.findall(r"\d+", text)))
    found = in_digits + Counter(_in_words(text, language))
    needed = Counter(numbers)
    if all(found[number] >= count for number, count in needed.items()):
        return True
    digits = re.findall(r"\d+", _HOW_OFTEN.sub("", text))
    is_left_over = any(int(number) not in needed for number in digits)
    return (
        _several(language).search(text) is not None
        and not is_left_over
        and all(number in found for number in needed)
    )


def has_digits(text: str, digits: Iterable[int], language: str = "en") -> bool:
    """True if every digit is in the text as often as given, also within `1__4` or in words."""
    found = Counter(map(int, re.findall(r"\d", text))) + Counter(_in_words(text, language))
    return all(found[digit] >= count for digit, count in Counter(digits).items())


def has_names(text: str, names: Sequence[str]) -> bool:
    """True if the names differ and every one is in the text as whole words, in any letter case."""
    folded = [name.casefold() for name in names]
    words = (rf"(?<!\w){re.escape(name)}(?!\w)" for name in folded)
    return len({*folded}) == len(folded) and all(re.search(w, text.casefold()) for w in words)


def _in_words(text: str, language: str) -> Iterator[int]:
    """The numbers that the text has in words."""
    known = _known_words(language)
    for word in _any_word(language).findall(text):
        yield known[_plain(word)]


@cache
def _known_words(language: str) -> dict[str, int]:
    """Numbers by their words in a language, alone and several of them."""
    numbers = load_numbers(language)
    words = (*enumerate(numbers.singulars), *enumerate(numbers.plurals))
    return {_plain(word): number for number, word in words}


def _plain(word: str) -> str:
    """In lower case, with the usual hyphen also for a space."""
    return re.sub(_HYPHEN, "-", word.lower())


@cache
def _any_word(language: str) -> re.Pattern[str]:
    longest_first = sorted(map(re.escape, _known_words(language)), key=len, reverse=True)
    return _whole_words(word.replace(r"\-", _HYPHEN) for word in longest_first)


@cache
def _several(language: str) -> re.Pattern[str]:
    """Words and marks after which one mention of a number may stand for several: "two 5s"."""
    words = map(re.escape, load_numbers(language).several)
    return re.compile(f"{_whole_words(words).pattern}|{_MARKED}", re.IGNORECASE)


def _whole_words(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(patterns)})\b", re.IGNORECASE)
