"""Shortcuts for tests of the built-in tasks, each of which is one object with all parts."""

from __future__ import annotations

import random
from typing import cast

from steiner.dags.path_sampling import Walk, sample_paths
from steiner.tasks import Grade, grade, task, tasks
from steiner.tasks.protocols import PuzzleFamily
from steiner.types import Decision, Message, Problem, ReasoningDag, SearchPath, Spec, Step

PUZZLES = sorted(name for name in tasks() if task(name).has_exact_dags)
"""The tasks with exact DAGs."""


def puzzle(name: str) -> PuzzleFamily:
    """The object that implements all parts of the task."""
    return cast(PuzzleFamily, task(name).generator)


def problem_of(name: str, spec: Spec) -> Problem:
    """A Problem of any Spec, even of one that no question can ask."""
    return Problem(name, "0" * 16, 1, "en", (Message("user", ""),), spec)


def walks_through(
    dag: ReasoningDag, count: int, walk: Walk, rng: random.Random
) -> list[SearchPath]:
    """Paths of the DAG's own problem."""
    return list(sample_paths(dag, [dag.problem] * count, walk, rng))


def reading_step(problem: Problem) -> Step:
    """The step that reads the question, before a search."""
    return Step(puzzle(problem.family).reading(problem), Decision.PROCEED, 0, 0)


def is_right(problem: Problem, answer: str) -> bool:
    """True if the task's grader accepts the answer."""
    return grade(problem, answer) is Grade.RIGHT
