"""Problems of the main suite at the end of a dialogue: a changed given, a doubt, another subject.

Recipe -> EvalItems

The last problem of a dialogue is one of the main suite, so the report compares its accuracy with
that of the same problem asked at once.
"""

from __future__ import annotations

import random
from functools import partial

from steiner.dags.dialogues import KINDS, in_dialogue
from steiner.dags.source import SolverDagSource
from steiner.evaluation.suites import EvalItem, Suite, problems_of
from steiner.randomness import random_stream
from steiner.recipe import Recipe
from steiner.tasks import task
from steiner.types import Problem, Split

PREFIX = "dialogue/"
"""Suite names are this and the kind of dialogue."""

_TITLES = {
    "changed": "Dialogues with a changed given",
    "sure": "Dialogues with a doubt",
    "unrelated": "After an unrelated turn",
}


class Dialogues(Suite):
    """Test problems in dialogues of one kind, in held-out voices."""

    is_paired = True
    needs_reasoning = True

    def __init__(self, kind: str) -> None:
        self.kind, self.name, self.title = kind, f"{PREFIX}{kind}", _TITLES[kind]

    def _items(self, recipe: Recipe, num_per_family: int) -> list[EvalItem]:
        rng = random_stream("evaluation", self.name, recipe.seed)
        problems = [
            problem
            for problem in problems_of(recipe, Split.TEST, num_per_family)
            if task(problem.family).has_exact_dags
        ]
        other, dags = partial(_other_problem, rng, problems), SolverDagSource()
        found = (in_dialogue(each, self.kind, rng, Split.TEST, other, dags) for each in problems)
        return [EvalItem(self.name, problem) for problem in found if problem is not None]


def _other_problem(rng: random.Random, problems: list[Problem]) -> Problem:
    return rng.choice(problems)


SUITES = tuple(map(Dialogues, KINDS))
