"""Reading exercises: a question as people type it, and the canonical line that restates it.

random stream, task name -> FactGroups

Questions are of the training split, in voices of the training split. There is no search and no
reasoning token; what a person may say that states no puzzle is among them.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from steiner.data.ordinary_text.generators import FactGroup
from steiner.data.ordinary_text.train_problems import is_train, train_problem
from steiner.tasks import ask, problem_key_of, task, varied
from steiner.tasks.protocols import UnanswerableGenerator
from steiner.types import Problem, Split

_UNANSWERABLE = 0.1
_PROMPTS = ("Restated:", "In short:", "What is asked?", "That is:")


def reading(rng: random.Random, name: str) -> Iterator[FactGroup]:
    """A question and its canonical line, or several questions of one problem."""
    reader = task(name).require_reader()
    while True:
        problem = _problem(rng, name)
        count = rng.choice((1, 1, 1, 2))
        asked = [problem, *(ask(problem, rng, Split.TRAIN) for _ in range(count - 1))]
        facts = [
            (f"{each.question}\n{rng.choice(_PROMPTS)}", reader.reading(each).understanding)
            for each in asked
        ]
        yield FactGroup(tuple(facts))


def _problem(rng: random.Random, name: str) -> Problem:
    generator = task(name).generator
    if not isinstance(generator, UnanswerableGenerator) or rng.random() >= _UNANSWERABLE:
        return train_problem(rng, name)
    while True:
        spec = generator.unanswerable(rng, rng.choice(generator.levels))
        if is_train(name, spec):
            problem = Problem(name, problem_key_of(name, spec), 0, "en", (), spec)
            return ask(varied(problem, rng), rng, Split.TRAIN)
