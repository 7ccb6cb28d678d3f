"""Instances that reasoning-gym generates, judged by reasoning-gym's own scorer.

reasoning-gym item -> Task;  answer, in reasoning-gym's notation -> its score

An independent check of our own graders. An item is asked in our words from its metadata; items that
training may have seen, or that the task cannot state, are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from steiner.evaluation.suites import Suite, Task, side_count
from steiner.randomness import random_stream
from steiner.recipe import Recipe
from steiner.tasks import Grade, make_problem
from steiner.tasks.reasoning_gym import ADAPTERS, SIZE, GymGrader, data_set
from steiner.types import Problem, Spec, Split

_PATIENCE = 1_000
"""Items in a row without anything new, after which a data set counts as used up."""


class Gym(Suite):
    """reasoning-gym's data sets of the same names as our families."""

    name = "reasoning_gym"
    title = "reasoning-gym's instances and scorer"

    def tasks(self, recipe: Recipe) -> list[Task]:
        count = side_count(recipe)
        levels = recipe.problems.levels
        chosen = [name for name in levels if _has_twin(name, levels[name])]
        return [
            task
            for name in chosen
            for task in islice(self._tasks(recipe, name, levels[name]), count)
        ]

    def _tasks(self, recipe: Recipe, name: str, level: int) -> Iterator[Task]:
        seed = random_stream("evaluation", self.name, recipe.seed, name).getrandbits(31)
        items = data_set(name, seed, **ADAPTERS[name].settings[level])
        seen: set[str] = set()
        misses = 0
        for index in range(SIZE):
            spec = ADAPTERS[name].spec(items[index]["metadata"])
            problem = None if spec is None else _posed(recipe, name, level, spec)
            misses += 1
            if misses > _PATIENCE:
                return
            if problem is not None and problem.key not in seen:
                misses = 0
                seen.add(problem.key)
                yield Task(self.name, problem, items[index])

    def is_right(self, task: Task, answer: str) -> bool:
        assert task.item is not None
        return GymGrader(task.item).grade(task.problem, answer) is Grade.RIGHT


def _has_twin(name: str, level: int) -> bool:
    return name in ADAPTERS and level in ADAPTERS[name].settings


def _posed(recipe: Recipe, name: str, level: int, spec: Spec) -> Problem | None:
    """The problem, unless training may have seen it; our own jugs are never of equal size."""
    problem = make_problem(name, spec, level=level, language=recipe.language)
    sizes = spec.get("capacities", ())
    never_made = len(set(sizes)) < len(sizes)
    return problem if never_made or problem.split is not Split.TRAIN else None


SUITE = Gym()
