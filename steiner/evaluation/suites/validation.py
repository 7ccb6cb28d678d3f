"""Problems of the validation split, to choose a step budget without looking at test problems.

Recipe -> EvalItems
"""

from __future__ import annotations

from steiner.evaluation.suites import VALIDATION, EvalItem, Suite, problems_of
from steiner.recipe import Recipe
from steiner.types import Split


class Validation(Suite):
    """Problems of the validation split."""

    name = VALIDATION
    title = "Validation problems"
    needs_reasoning = True

    def _items(self, recipe: Recipe, num_per_family: int) -> list[EvalItem]:
        problems = problems_of(recipe, Split.VALIDATION, num_per_family)
        return [EvalItem(self.name, problem) for problem in problems]


SUITES = (Validation(),)
