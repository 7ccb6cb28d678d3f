"""A task with a generator and a grader only: sums of two numbers.

It shows that such a task generates, evaluates and trains. The `toy_task` fixture registers it.
"""

from __future__ import annotations

import random

from steiner.tasks import Task
from steiner.tasks.graders import Number
from steiner.tasks.protocols import WordedQuestion
from steiner.types import Spec, Split


class Sums:
    """Two numbers to add; level 2 has larger ones."""

    levels = range(1, 3)

    def generate(self, rng: random.Random, level: int) -> Spec:
        a, b = (rng.randint(1, 50 * level) for _ in range(2))
        return {"a": a, "b": b, "answer": a + b}

    def canonical_text(self, spec: Spec) -> str:
        return " + ".join(map(str, sorted((spec["a"], spec["b"]))))

    def question(
        self, spec: Spec, language: str, rng: random.Random, split: Split
    ) -> WordedQuestion:
        text = "Add {a} and {b}." if split is Split.TEST else "What is {a} plus {b}?"
        return WordedQuestion(text.format(**spec), str(split))


TOY_TASK = Task("toy_sums", generator=Sums(), grader=Number())
