"""The main suite: held-out problems of each family, in wordings that training may have seen.

Recipe -> Tasks of the test split
"""

from __future__ import annotations

from steiner.evaluation.suites import Suite, Task, problems_of
from steiner.recipe import Recipe
from steiner.types import Split


class HeldOut(Suite):
    """Problems of the test split."""

    name = "test"
    title = "Held-out problems"

    def tasks(self, recipe: Recipe) -> list[Task]:
        count = recipe.eval.problems_per_family
        return [Task(self.name, problem) for problem in problems_of(recipe, Split.TEST, count)]


SUITE = HeldOut()
