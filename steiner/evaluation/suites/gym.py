"""Instances that reasoning-gym generates, judged by reasoning-gym's own scorer.

reasoning-gym item -> Task;  answer, in reasoning-gym's notation -> its score

A check by something that was not written here. Only a score of 1.0 is right: the scorers give
partial credit. An item is posed in our words from its metadata; those that training may have seen,
or that the family cannot pose, are passed over. Some of reasoning-gym's scorers evaluate
what a model wrote and could hang; those of our families cannot be made to, because what they are
given is not the model's text but `to_reasoning_gym`'s, which holds nothing but moves, roles, or the
problem's own few numbers. So they run in this process, without a time limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any

from steiner.evaluation.suites import Suite, Task, side_count
from steiner.randomness import random_stream
from steiner.recipe import Recipe
from steiner.tasks import family, load_phrases, pose
from steiner.types import Problem, Spec, Split

SETTINGS: Mapping[str, Mapping[int, Mapping[str, int]]] = {
    "countdown": {
        level: {
            "min_numbers": count,
            "max_numbers": count,
            "max_value": largest,
            "min_target": 1,
            "max_target": 99,
        }
        for level, (count, largest) in {1: (3, 9), 2: (4, 9), 3: (4, 15), 4: (5, 15)}.items()
    },
    "knights_knaves": {level: {"n_people": level + 2} for level in range(1, 5)},
    "mini_sudoku": {
        level: {"min_empty": fewest, "max_empty": fewest + 2}
        for level, fewest in {1: 6, 2: 8, 3: 10}.items()
    },
    "jugs": {
        level: {"num_jugs": count, "difficulty": fewest}
        for level, (count, fewest) in {3: (3, 4), 4: (3, 6)}.items()
    },
}
"""Family -> level -> reasoning-gym's settings, as near to the level as they come.

reasoning-gym's defaults lie beyond a small model: countdown targets from 100 to 999 from up to six
numbers to 100, sudokus with up to 12 empty cells, jugs that need ten moves or more. It has three
jugs at least, so levels 1 and 2 have no twin there, and they are small and few in kind.
"""

_SIZE = 100_000
"""Items that a data set has; they are made one by one."""
_PATIENCE = 1_000
"""Items in a row without anything new, after which a data set counts as used up."""


class Gym(Suite):
    """reasoning-gym's data sets of the same names as our families."""

    name = "reasoning_gym"
    title = "reasoning-gym's instances and scorer"

    def tasks(self, recipe: Recipe) -> list[Task]:
        count = side_count(recipe)
        levels = recipe.problems.levels
        chosen = [name for name in levels if levels[name] in SETTINGS.get(name, {})]
        return [
            task
            for name in chosen
            for task in islice(self._tasks(recipe, name, levels[name]), count)
        ]

    def _tasks(self, recipe: Recipe, name: str, level: int) -> Iterator[Task]:
        seed = random_stream("evaluation", self.name, recipe.seed, name).getrandbits(31)
        items = _data_set(name, seed, **SETTINGS[name][level])
        seen: set[str] = set()
        misses = 0
        for index in range(_SIZE):
            spec = family(name).from_reasoning_gym(items[index]["metadata"])
            problem = None if spec is None else _posed(recipe, name, level, spec)
            misses += 1
            if misses > _PATIENCE:
                return
            if problem is not None and problem.key not in seen:
                misses = 0
                seen.add(problem.key)
                yield Task(self.name, problem, items[index])

    def is_right(self, task: Task, answer: str) -> bool:
        problem = task.problem
        phrases = load_phrases(problem.family, problem.language)
        text = family(problem.family).to_reasoning_gym(problem.spec, phrases, answer)
        return bool(_data_set(problem.family, 0).score_answer(text, task.item) == 1.0)


def _posed(recipe: Recipe, name: str, level: int, spec: Spec) -> Problem | None:
    """The problem, unless training may have seen it; our own jugs are never of equal size."""
    problem = pose(name, spec, level=level, language=recipe.language)
    sizes = spec.get("capacities", ())
    never_made = len(set(sizes)) < len(sizes)
    return problem if never_made or problem.split is not Split.TRAIN else None


@cache
def _data_set(name: str, seed: int, **settings: int) -> Any:
    import reasoning_gym

    return reasoning_gym.create_dataset(name, seed=seed, size=_SIZE, **settings)


SUITE = Gym()
