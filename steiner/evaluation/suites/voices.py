"""The first problems of the main suite, asked by voices that training may have heard.

Recipe -> EvalItems

The main suite asks in voices that training never heard. The problems here are the same, so a
difference comes from the voices alone.
"""

from __future__ import annotations

from steiner.evaluation.suites import EvalItem, Suite, problems_of
from steiner.randomness import random_stream
from steiner.recipe import Recipe
from steiner.tasks import ask
from steiner.types import Split


class KnownVoices(Suite):
    """Problems of the test split in voices of the training split."""

    name = "known_voices"
    title = "Known voices"
    is_paired = True

    def _items(self, recipe: Recipe, num_per_family: int) -> list[EvalItem]:
        rng = random_stream("evaluation", self.name, recipe.seed)
        problems = problems_of(recipe, Split.TEST, num_per_family)
        return [EvalItem(self.name, ask(problem, rng, Split.TRAIN)) for problem in problems]


SUITES = (KnownVoices(),)
