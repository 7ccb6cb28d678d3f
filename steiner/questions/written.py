"""Questions that are asked as they are written: what every generator of them shares."""

from __future__ import annotations

import random

from steiner.tasks.protocols import WordedQuestion
from steiner.types import Spec, Split


def canonical_question(text: str) -> str:
    """A question without regard to case and white space."""
    return " ".join(text.split()).casefold()


class WrittenQuestions:
    """The part of a generator whose Specs have the text as `question`. All are of level 1."""

    levels = range(1, 2)

    def canonical_text(self, spec: Spec) -> str:
        """The question without regard to case and white space."""
        return canonical_question(str(spec["question"]))

    def question(
        self, spec: Spec, language: str, rng: random.Random, split: Split
    ) -> WordedQuestion:
        """The question as it is, in every split."""
        return WordedQuestion(spec["question"])
