"""The suite on which a step budget is chosen, so that the test split chooses nothing.

Recipe -> Tasks of the validation split
"""

from __future__ import annotations

from steiner.evaluation.suites import Suite, Task, problems_of, side_count
from steiner.recipe import Recipe
from steiner.types import Split


class Validation(Suite):
    """Problems of the validation split."""

    name = "validation"
    title = "Validation problems"
    needs_reasoning = True

    def tasks(self, recipe: Recipe) -> list[Task]:
        problems = problems_of(recipe, Split.VALIDATION, side_count(recipe))
        return [Task(self.name, problem) for problem in problems]


SUITE = Validation()
