"""A task with a generator and a grader only: sums of two numbers.

It shows that such a task generates, evaluates and trains. The `toy_task` fixture registers it.
"""

from __future__ import annotations

import random

from steiner.tasks import Task
from steiner.tasks.graders import Number
from steiner.types import Spec


class Sums:
    """Two numbers to add; level 2 has larger ones."""

    levels = range(1, 3)

    def generate(self, rng: random.Random, level: int) -> Spec:
        a, b = (rng.randint(1, 50 * level) for _ in range(2))
        return {"a": a, "b": b, "answer": a + b}

    def canonical_text(self, spec: Spec) -> str:
        return " + ".join(map(str, sorted((spec["a"], spec["b"]))))

    def num_wordings(self, language: str) -> int:
        return 2

    def question(self, spec: Spec, language: str, wording: int) -> str:
        return ("What is {a} plus {b}?", "Add {a} and {b}.")[wording].format(**spec)


TOY_TASK = Task("toy_sums", generator=Sums(), grader=Number())
