"""Suites: named sets of problems that no training saw, each with the judge of its answers.

Recipe -> Tasks;  (Task, answer) -> right or wrong

A suite is one module of this package that ends in `SUITE = ...`; `suites()` finds it by itself.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from steiner.recipe import Recipe
from steiner.tasks import Grade, generate_problems, grade
from steiner.types import Problem, Split

SIDE_SHARE = 0.25
"""Problems of a suite beside the main one, as a share of `eval.problems_per_family`."""


@dataclass(frozen=True, slots=True)
class Task:
    """A problem in a suite; `item` is what a foreign judge needs to know of it."""

    suite: str
    problem: Problem
    item: Mapping[str, Any] | None = None


class Suite(ABC):
    """A set of problems, and what counts as a right answer to them."""

    name: str
    title: str
    """For people: what accuracy on it is called."""
    needs_reasoning = False
    """True where a model that answers directly is not put to it."""

    @abstractmethod
    def tasks(self, recipe: Recipe) -> list[Task]:
        """Its problems, the same for every model."""

    def is_right(self, task: Task, answer: str) -> bool:
        """By the family's own strict checker."""
        return grade(task.problem, answer) is Grade.RIGHT


@cache
def suites() -> dict[str, Suite]:
    """Every suite by name."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        suite = getattr(importlib.import_module(f"{__name__}.{info.name}"), "SUITE", None)
        if isinstance(suite, Suite):
            found[suite.name] = suite
    return found


def problems_of(recipe: Recipe, split: Split, count: int) -> list[Problem]:
    """The first `count` problems of each family in `split`, at the recipe's levels."""
    return [
        problem
        for name, level in recipe.problems.levels.items()
        for problem in islice(
            generate_problems(name, level, seed=recipe.seed, split=split, language=recipe.language),
            count,
        )
    ]


def side_count(recipe: Recipe) -> int:
    """Problems a family in a suite beside the main one."""
    return max(1, round(recipe.eval.problems_per_family * SIDE_SHARE))
