"""The main suite: problems of the test split, in voices that training never heard.

Recipe -> EvalItems
"""

from __future__ import annotations

from steiner.evaluation.suites import MAIN, EvalItem, Suite, problems_of
from steiner.recipe import Recipe
from steiner.types import Split


class HeldOut(Suite):
    """Problems of the test split."""

    name = MAIN
    title = "Held-out problems"
    share = 1.0

    def _items(self, recipe: Recipe, num_per_family: int) -> list[EvalItem]:
        problems = problems_of(recipe, Split.TEST, num_per_family)
        return [EvalItem(self.name, problem) for problem in problems]


SUITES = (HeldOut(),)
