"""The ladder of difficulty: test problems of every level of each task, in held-out voices.

Recipe -> EvalItems, one suite for each level
"""

from __future__ import annotations

from itertools import islice

from steiner.evaluation.suites import EvalItem, Suite
from steiner.recipe import Recipe
from steiner.tasks import generate_problems, task
from steiner.types import Split

PREFIX = "level/"
_LEVELS = (1, 2, 3, 4)


class Level(Suite):
    """Test problems of one level."""

    def __init__(self, level: int) -> None:
        self.level, self.name, self.title = level, f"{PREFIX}{level}", f"Level {level}"

    def _items(self, recipe: Recipe, num_per_family: int) -> list[EvalItem]:
        return [
            EvalItem(self.name, problem)
            for name in recipe.problems.levels
            if self.level in task(name).generator.levels and not task(name).is_always_unanswerable
            for problem in islice(
                generate_problems(
                    name,
                    self.level,
                    seed=recipe.seed,
                    split=Split.TEST,
                    language=recipe.language,
                ),
                num_per_family,
            )
        ]


SUITES = tuple(map(Level, _LEVELS))
