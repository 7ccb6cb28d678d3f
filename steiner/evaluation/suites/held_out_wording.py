"""The first problems of the main suite once more, in the wording that was kept out of training.

Recipe -> Tasks of the test split

The same problems, so that a difference to the main suite is the wording's alone.
"""

from __future__ import annotations

from steiner.evaluation.suites import Suite, Task, problems_of, side_count
from steiner.recipe import Recipe
from steiner.tasks import make_problem, task
from steiner.types import Problem, Split


class Wording(Suite):
    """Problems of the test split in unseen words."""

    name = "wording"
    title = "In a wording never seen"

    def tasks(self, recipe: Recipe) -> list[Task]:
        problems = problems_of(recipe, Split.TEST, side_count(recipe))
        return [Task(self.name, _reworded(problem)) for problem in problems]


def _reworded(problem: Problem) -> Problem:
    last = task(problem.family).generator.num_wordings(problem.language) - 1
    return make_problem(
        problem.family,
        problem.spec,
        level=problem.level,
        language=problem.language,
        wording=last,
    )


SUITE = Wording()
