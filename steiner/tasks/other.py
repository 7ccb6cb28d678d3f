"""Messages that state none of the puzzles: the model says so instead of inventing one.

random stream -> message;  (Problem, answer) -> Grade
"""

from __future__ import annotations

import random

from steiner.tasks.names import known_names
from steiner.tasks.no_answer import NoAnswer, grade_no_answer, reading_without_search
from steiner.tasks.phrases import load_phrases, phrases_of
from steiner.tasks.protocols import Grade, Task, WordedQuestion
from steiner.tasks.question_grammar import load_grammar
from steiner.types import Problem, Spec, Split, StepTexts


class Other:
    """Greetings, questions of general knowledge, other puzzles, nonsense."""

    name = "other"
    levels = range(1, 2)

    def generate(self, rng: random.Random, level: int) -> Spec:
        return {"no_answer": NoAnswer.UNKNOWN.value, "seed": rng.getrandbits(31)}

    def canonical_text(self, spec: Spec) -> str:
        return str(spec.get("seed", ""))

    def question(
        self, spec: Spec, language: str, rng: random.Random, split: Split
    ) -> WordedQuestion:
        fields = {
            "name": rng.choice(known_names(language, held_out=False)),
            "number": str(rng.randint(2, 100)),
            "number2": str(rng.randint(2, 100)),
        }
        voice, text = load_grammar(self.name, language).question(rng, split, fields)
        return WordedQuestion(text, voice)

    def grade(self, problem: Problem, answer: str) -> Grade:
        """RIGHT if the answer declines."""
        return grade_no_answer(problem, answer)


class OtherSteps:
    """The one step that says that there is nothing to search."""

    def reading(self, problem: Problem) -> StepTexts:
        restated = phrases_of(problem).render("reading")
        return reading_without_search(problem.spec, problem.language, restated)

    def read_question(self, understanding: str, language: str) -> Spec | None:
        found = load_phrases("other", language).match(understanding, "reading")
        return {"no_answer": NoAnswer.UNKNOWN.value} if found else None

    def is_stated(self, spec: Spec, text: str, language: str) -> bool:
        return True


_OTHER = Other()
TASK = Task(_OTHER.name, _OTHER, _OTHER, reader=OtherSteps(), is_always_unanswerable=True)
