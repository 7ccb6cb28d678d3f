"""Graders for tasks whose answer is known: exact text, a number, multiple choice.

(Problem, answer) -> Grade, compared with `problem.spec["answer"]`

All are strict: the answer is the whole text. An empty answer, an echo of the question, a list of
all candidates or the right number inside other text is not right.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from steiner.tasks.protocols import Grade, grade_of
from steiner.types import Problem

_NUMBER = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?([eE][-+]?\d{1,3})?")


@dataclass(frozen=True, slots=True)
class ExactText:
    """Right if the answer equals the known one, apart from case, white space and a final stop."""

    def grade(self, problem: Problem, answer: str) -> Grade:
        """UNREADABLE if the answer is empty."""
        given = _normalized(answer)
        return grade_of(given == _normalized(problem.spec["answer"]) if given else None)


@dataclass(frozen=True, slots=True)
class Number:
    """Right if the answer is one number within `tolerance` of the known one.

    `tolerance` is absolute. Thousands separators and a leading currency sign are allowed.
    """

    tolerance: float = 0.0

    def grade(self, problem: Problem, answer: str) -> Grade:
        """UNREADABLE if the answer is not exactly one number."""
        given, known = _number(answer), _number(str(problem.spec["answer"]))
        if given is None or known is None:
            return Grade.UNREADABLE
        return grade_of(abs(given - known) <= self.tolerance)


@dataclass(frozen=True, slots=True)
class MultipleChoice:
    """Right if the answer names the letter of the known choice, such as `B`, `(B)` or `B.`."""

    letters: str = "ABCDEFGHIJ"

    def grade(self, problem: Problem, answer: str) -> Grade:
        """UNREADABLE if the answer is not exactly one letter of the choices."""
        given, known = self._letter(answer), self._letter(str(problem.spec["answer"]))
        return grade_of(None if given is None else given == known)

    def _letter(self, text: str) -> str | None:
        found = re.fullmatch(rf"\(?([{self.letters}])[).]?", text.strip().upper())
        return found[1] if found else None


def _normalized(text: str) -> str:
    return " ".join(text.split()).casefold().removesuffix(".")


def _number(text: str) -> float | None:
    """The number that is the whole of `text`; None if there is none, or more than that."""
    bare = text.strip().removesuffix(".").lstrip("$€£").strip()
    if not _NUMBER.fullmatch(bare):
        return None
    value = float(bare.replace(",", ""))
    return value if math.isfinite(value) else None
