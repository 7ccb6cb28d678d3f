"""Questions without an answer: no solution, a missing given, or no puzzle of a known kind.

Recipe -> EvalItems

An answer is right if it says so. All questions are in held-out voices.
"""

from __future__ import annotations

from itertools import islice

from steiner.evaluation.suites import EvalItem, Suite
from steiner.recipe import Recipe
from steiner.tasks import generate_problems, task
from steiner.tasks.no_answer import NoAnswer, no_answer
from steiner.tasks.protocols import UnanswerableGenerator
from steiner.types import Problem, Split


class Unanswerable(Suite):
    """Questions that have no answer, for one reason."""

    needs_reasoning = True

    def __init__(self, reason: NoAnswer, title: str) -> None:
        self.reason, self.name, self.title = reason, f"no_answer/{reason}", title

    def _items(self, recipe: Recipe, num_per_family: int) -> list[EvalItem]:
        return [
            EvalItem(self.name, problem)
            for name, level in recipe.problems.levels.items()
            for problem in islice(self._problems(recipe, name, level), num_per_family)
        ]

    def _problems(self, recipe: Recipe, name: str, level: int) -> list[Problem]:
        generator = task(name).generator
        if self.reason is NoAnswer.UNKNOWN:
            share = 0.0
            if not task(name).is_always_unanswerable:
                return []
        else:
            share = 1.0
            if not isinstance(generator, UnanswerableGenerator):
                return []
        found = generate_problems(
            name,
            level,
            seed=recipe.seed,
            split=Split.TEST,
            language=recipe.language,
            unanswerable=share,
        )
        drawn = islice(found, 4 * recipe.eval.problems_per_family)
        return [problem for problem in drawn if no_answer(problem.spec) is self.reason]


SUITES = (
    Unanswerable(NoAnswer.NO_SOLUTION, "Problems without a solution"),
    Unanswerable(NoAnswer.MISSING, "Questions that lack a given"),
    Unanswerable(NoAnswer.UNKNOWN, "Messages of unknown kinds"),
)
