"""The first problems of the main suite, asked in the wording that was kept out of training.

Recipe -> EvalItems

The problems are the same, so a difference to the main suite comes from the wording alone. Tasks
with a single wording have none that is kept out, and take no part.
"""

from __future__ import annotations

from steiner.evaluation.suites import EvalItem, Suite, problems_of
from steiner.recipe import Recipe
from steiner.tasks import make_problem, task
from steiner.types import Problem, Split


class HeldOutWording(Suite):
    """Problems of the test split in a wording that training never saw."""

    name = "wording"
    title = "Wording never seen"
    is_paired = True

    def _items(self, recipe: Recipe, num_per_family: int) -> list[EvalItem]:
        problems = problems_of(recipe, Split.TEST, num_per_family)
        return [EvalItem(self.name, _reworded(p)) for p in problems if _num_wordings(p) > 1]


def _num_wordings(problem: Problem) -> int:
    return task(problem.family).generator.num_wordings(problem.language)


def _reworded(problem: Problem) -> Problem:
    return make_problem(
        problem.family,
        problem.spec,
        level=problem.level,
        language=problem.language,
        wording=_num_wordings(problem) - 1,
    )


SUITES = (HeldOutWording(),)
