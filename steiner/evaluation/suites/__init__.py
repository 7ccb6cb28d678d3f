"""Suites: named sets of problems that training never saw, each with its grader.

Recipe -> EvalItems;  (EvalItem, answer) -> Grade

A suite is an instance of Suite in the tuple `SUITES` of a module of this package; `suites()` finds
it there.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from steiner.questions.task import NO_TEST
from steiner.recipe import Recipe
from steiner.tasks import Grade, generate_problems, grade, task
from steiner.tasks.protocols import HeldOutGenerator
from steiner.types import Problem, Split, UserError

MAIN = "test"
"""The suite of the headline figures."""

VALIDATION = "validation"
"""The suite that step budgets are chosen on."""


@dataclass(frozen=True, slots=True)
class EvalItem:
    """A problem in a suite. `metadata` is the item of another library, for its scorer."""

    suite: str
    problem: Problem
    metadata: Mapping[str, Any] | None = None


class Suite(ABC):
    """A set of problems and the grader of their answers."""

    name: str
    title: str
    """Heading of its accuracy in reports."""
    share = 0.25
    """Number of problems per family, as a share of `eval.problems_per_family`."""
    needs_reasoning = False
    """True if models that answer directly are not evaluated on it."""
    is_paired = False
    """True if its problems are problems of the main suite, so that accuracies can be compared
    problem by problem."""

    def items(self, recipe: Recipe, num_per_family: int | None = None) -> list[EvalItem]:
        """The suite's items, the same for every model; by default as many as the recipe says."""
        default = num_problems(recipe, self.share)
        return self._items(recipe, default if num_per_family is None else num_per_family)

    @abstractmethod
    def _items(self, recipe: Recipe, num_per_family: int) -> list[EvalItem]:
        """The first `num_per_family` items of each family, or fewer if there are no more."""

    def grade(self, item: EvalItem, answer: str) -> Grade:
        """The grade by the task's own strict grader."""
        return grade(item.problem, answer)


@cache
def suites() -> dict[str, Suite]:
    """All suites by name."""
    modules = (
        importlib.import_module(f"{__name__}.{info.name}")
        for info in pkgutil.iter_modules(__path__)
    )
    return {suite.name: suite for module in modules for suite in module.SUITES}


def num_problems(recipe: Recipe, share: float) -> int:
    """`share` of the recipe's problems per family, at least 1."""
    return max(1, round(recipe.eval.problems_per_family * share))


def require_test_problems(recipe: Recipe) -> None:
    """Raises UserError if a task of the recipe has no test problem, as a small file of questions
    may, since a question's key decides its split."""
    found = {problem.family for problem in problems_of(recipe, Split.TEST, 1)}
    for name in recipe.problems.levels:
        if name in found or task(name).is_always_unanswerable:
            continue
        hint = "a test problem is one in twenty: the task needs more problems"
        if name == recipe.questions.name:
            hint = NO_TEST
        raise UserError(f"task '{name}' has no test problem", hint)


def problems_of(recipe: Recipe, split: Split, num_per_family: int) -> list[Problem]:
    """The first problems of each family in `split`, in voices of that split.

    At the recipe's levels or, in equal shares, at those of `eval.levels`. Levels may overlap: no
    problem comes twice, and fewer problems are always among more.
    """
    found: list[Problem] = []
    for name, highest in recipe.problems.levels.items():
        if task(name).is_always_unanswerable:
            continue
        generator = task(name).generator
        own = generator.held_out(split) if isinstance(generator, HeldOutGenerator) else None
        if own is not None:
            found += own[:num_per_family]
            continue
        levels = [each for each in recipe.eval.levels if each in generator.levels]
        found += _of_levels(recipe, name, levels or [highest], split, num_per_family)
    return found


def _of_levels(
    recipe: Recipe, name: str, levels: Sequence[int], split: Split, wanted: int
) -> Iterator[Problem]:
    """The first `wanted` problems of one task, in equal shares of `levels`."""
    taken: set[str] = set()
    most = max(wanted, recipe.eval.problems_per_family)
    for index, level in enumerate(levels):
        problems = generate_problems(
            name, level, seed=recipe.seed, split=split, language=recipe.language
        )
        new = (problem for problem in problems if problem.key not in taken)
        own = list(islice(new, _share(most, index, len(levels))))
        taken.update(problem.key for problem in own)
        yield from own[: _share(wanted, index, len(levels))]


def _share(total: int, index: int, parts: int) -> int:
    """The size of part `index` of `total`; the first parts are the larger ones."""
    return total // parts + (index < total % parts)
