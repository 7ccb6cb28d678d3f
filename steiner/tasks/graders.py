"""Graders for tasks whose answer is known: exact text, a number, multiple choice.

(Problem, answer) -> Grade, by comparison with `problem.spec["answer"]`

All are strict: the whole text must be the answer. An empty answer, an echo of the question, a list
of all candidates and the right number inside other text score 0.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TypeVar

from steiner.tasks.protocols import Grade, grade_of
from steiner.types import Problem, UserError

T = TypeVar("T")


class UnreadableAnswer(UserError):
    """The grader cannot read a problem's known answer."""


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
        """UNREADABLE if the answer is not exactly one number. Raises UnreadableAnswer if the known
        one is not a number."""
        given, known = _number(answer), _known(problem, _number(str(problem.spec["answer"])))
        return grade_of(None if given is None else abs(given - known) <= self.tolerance)


@dataclass(frozen=True, slots=True)
class MultipleChoice:
    """Right if the answer names the letter of the known choice, such as `B`, `(B)` or `B.`."""

    letters: str = "ABCDEFGHIJ"

    def grade(self, problem: Problem, answer: str) -> Grade:
        """UNREADABLE if the answer is not exactly one letter of the choices. Raises
        UnreadableAnswer if the known one is not."""
        given = self._letter(answer)
        known = _known(problem, self._letter(str(problem.spec["answer"])))
        return grade_of(None if given is None else given == known)

    def _letter(self, text: str) -> str | None:
        found = re.fullmatch(rf"\(?([{self.letters}])[).]?", text.strip().upper())
        return found[1] if found else None


def _known(problem: Problem, answer: T | None) -> T:
    """The known answer, parsed. Raises UnreadableAnswer if the grader cannot read it."""
    if answer is None:
        known = problem.spec["answer"]
        hint = "correct the problem's answer, or choose another grader"
        message = f"the grader of '{problem.family}' cannot read the answer {known!r}"
        raise UnreadableAnswer(message, hint)
    return answer


def _normalized(text: str) -> str:
    return " ".join(text.split()).casefold().removesuffix(".")


def _number(text: str) -> float | None:
    """The number that is the whole of `text`; None if there is none, or more than that."""
    bare = text.strip().removesuffix(".").lstrip("$€£").strip()
    if not _NUMBER.fullmatch(bare):
        return None
    value = float(bare.replace(",", ""))
    return value if math.isfinite(value) else None
