"""Shortcuts for tests of the built-in tasks, each of which is one object with all parts."""

from __future__ import annotations

from typing import cast

from steiner.tasks import Grade, grade, task
from steiner.tasks.protocols import PuzzleFamily
from steiner.types import Message, Problem, Spec


def puzzle(name: str) -> PuzzleFamily:
    """The object that implements all parts of the task."""
    return cast(PuzzleFamily, task(name).generator)


def problem_of(name: str, spec: Spec) -> Problem:
    """A Problem of any Spec, even of one that no question can ask."""
    return Problem(name, "0" * 16, 1, "en", 0, (Message("user", ""),), spec)


def is_right(problem: Problem, answer: str) -> bool:
    """True if the task's grader accepts the answer."""
    return grade(problem, answer) is Grade.RIGHT
