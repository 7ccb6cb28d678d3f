"""Instances that reasoning-gym generates, graded by reasoning-gym's own scorer.

reasoning-gym item -> EvalItem;  answer in reasoning-gym's notation -> its score -> Grade

This checks our own problems and graders against other authors' work. The question is the item's own
text, in words that training never saw. Items that training may have seen, and items that our task
cannot state, are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from steiner.evaluation.suites import EvalItem, Suite
from steiner.randomness import random_stream
from steiner.recipe import Recipe
from steiner.tasks import Grade, make_problem
from steiner.tasks.reasoning_gym import ADAPTERS, SIZE, GymGrader, data_set
from steiner.types import Message, Problem, Spec, Split

_MAX_MISSES = 1_000
"""Items in a row without a new problem, after which a data set counts as used up."""


class ReasoningGym(Suite):
    """reasoning-gym's data sets of the same names as our tasks."""

    name = "reasoning_gym"
    title = "reasoning-gym's texts, instances and scorer"

    def _items(self, recipe: Recipe, num_per_family: int) -> list[EvalItem]:
        return [
            item
            for name, level in recipe.problems.levels.items()
            if name in ADAPTERS and level in ADAPTERS[name].settings
            for item in islice(self._family_items(recipe, name, level), num_per_family)
        ]

    def _family_items(self, recipe: Recipe, name: str, level: int) -> Iterator[EvalItem]:
        seed = random_stream("evaluation", self.name, recipe.seed, name).getrandbits(31)
        gym_items = data_set(name, seed, **ADAPTERS[name].settings[level])
        seen: set[str] = set()
        misses = 0
        for index in range(SIZE):
            spec = ADAPTERS[name].spec(gym_items[index]["metadata"])
            problem = None if spec is None else _held_out_problem(recipe, name, level, spec)
            misses += 1
            if misses > _MAX_MISSES:
                return
            if problem is not None and problem.key not in seen:
                misses = 0
                seen.add(problem.key)
                message = Message("user", gym_items[index]["question"])
                asked = replace(problem, messages=(message,), voice=self.name)
                yield EvalItem(self.name, asked, gym_items[index])

    def grade(self, item: EvalItem, answer: str) -> Grade:
        """RIGHT only for the scorer's full score."""
        assert item.metadata is not None
        return GymGrader(item.metadata).grade(item.problem, answer)


def _held_out_problem(recipe: Recipe, name: str, level: int, spec: Spec) -> Problem | None:
    """The problem, or None if training may have seen it.

    Jugs of equal size never occur in training, whatever the split of their key.
    """
    problem = make_problem(name, spec, level=level, language=recipe.language)
    capacities = spec.get("capacities", ())
    never_generated = len(set(capacities)) < len(capacities)
    return problem if never_generated or problem.split is not Split.TRAIN else None


SUITES = (ReasoningGym(),)
