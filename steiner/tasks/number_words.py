"""Numbers in the words of a language: singular, plural, and the article before one.

[words.numbers] of steiner/tasks/questions/<language>/common.toml, number -> words
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from steiner.tasks.phrases import WordingError

NUM_WORDS = 100
"""Numbers from 0 that have words; larger ones are always in digits."""


@dataclass(frozen=True, slots=True)
class NumberWords:
    """The words of one language."""

    singulars: Sequence[str]
    """The numbers from 0 to 99: `zero`, `twenty-one`."""
    plurals: Sequence[str]
    """Several of each: `sixes`, `twenties`."""
    articles: Sequence[tuple[str, str]]
    """Articles with a pattern each: the first pattern that is the whole number decides."""
    several: Sequence[str]
    """Words after which one mention of a number may stand for several: `two`, `both`, `twice`."""

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> NumberWords:
        """The words in a table of TOML. Raises KeyError for a missing list, and ValueError for one
        of the wrong length."""
        for name in ("singulars", "plurals"):
            if len(table[name]) != NUM_WORDS:
                raise ValueError(f"words.numbers.{name} has {len(table[name])}, not {NUM_WORDS}")
        articles = [(article, pattern) for article, pattern in table["articles"]]
        return cls(table["singulars"], table["plurals"], articles, table["several"])

    def text(self, number: int, *, in_words: bool) -> str:
        """The number in digits or, up to 99, in words."""
        return self.singulars[number] if in_words and number < NUM_WORDS else str(number)

    def article(self, number: int) -> str:
        """The article before a number in digits: `an` before 8, 11 and 80."""
        for article, pattern in self.articles:
            if re.fullmatch(pattern, str(number)):
                return article
        raise WordingError(f"words.numbers.articles has none for {number}", "end it with '\\d+'")
