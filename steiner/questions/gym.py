"""Any data set of reasoning-gym as a task: `gym:NAME`, graded by reasoning-gym's own scorer.

gym:NAME -> Task with a generator and a grader

The scorers give partial credit, and some evaluate text: only a full score is right, and they run in
a process of their own with a time limit.
"""

from __future__ import annotations

import random
from difflib import get_close_matches
from functools import cache
from typing import Any

from steiner.questions.graders import ProcessGrader
from steiner.questions.written import WrittenQuestions
from steiner.tasks import Task
from steiner.types import Spec, UserError

GYM = "gym:"
SIZE = 100_000
"""Items of a data set; they are generated one by one."""
_SEED = 0


class GymQuestions(WrittenQuestions):
    """Generator over the items of one data set with its default settings."""

    def __init__(self, name: str) -> None:
        self.name = name

    def generate(self, rng: random.Random, level: int) -> Spec:
        """One of the items."""
        index = rng.randrange(SIZE)
        item = gym_data(self.name, _SEED)[index]
        return {
            "question": item["question"],
            "answer": str(item["answer"]),
            "item": [_SEED, index],
        }


def gym_task(name: str) -> Task:
    """The task of `gym:NAME`. Raises UserError with the nearest name if there is none."""
    own = name.removeprefix(GYM)
    known = _names()
    if own not in known:
        near = get_close_matches(own, known, n=1)
        hint = f"did you mean '{GYM}{near[0]}'?" if near else f"one of: {', '.join(sorted(known))}"
        raise UserError(f"reasoning-gym has no data set '{own}'", hint)
    return Task(name, generator=GymQuestions(own), grader=ProcessGrader(name))


@cache
def gym_data(name: str, seed: int) -> Any:
    """reasoning-gym's data set `name` with SIZE items."""
    import reasoning_gym

    return reasoning_gym.create_dataset(name, seed=seed, size=SIZE)


@cache
def _names() -> frozenset[str]:
    import reasoning_gym  # fills the registry
    from reasoning_gym.factory import DATASETS

    assert reasoning_gym
    return frozenset(DATASETS)
