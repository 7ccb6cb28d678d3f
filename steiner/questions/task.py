"""Own questions as a task: a generator that deals them out, a grader, and a step writer for steps
that a teacher model or the data themselves worded.

QuestionsRecipe -> Task
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import compress
from operator import not_

from steiner.questions.graders import RegularExpression, grader_named
from steiner.questions.gym import GYM, gym_task
from steiner.questions.reading import Question, QuestionSet, read_questions, source_digest
from steiner.questions.task_file import register_task_file
from steiner.questions.written import WrittenQuestions, canonical_question
from steiner.recipe import QuestionsRecipe, Recipe
from steiner.tasks import Move, Task, register
from steiner.tasks.graders import UnreadableAnswer
from steiner.tasks.protocols import Grade, Grader
from steiner.types import Message, Problem, Spec, Split, State, StepTexts, UserError, problem_key

NO_TEST = "give more questions, or a file for evaluation alone: --set questions.test=FILE"
"""The hint where no question is held out for evaluation."""
UNREADABLE_ANSWER = "an answer that the grader cannot read"


class OwnQuestions(WrittenQuestions):
    """Generator over a list of questions; each is one problem."""

    def __init__(
        self,
        name: str,
        questions: Sequence[Question],
        test: Sequence[Question],
        dropped: Mapping[str, int],
    ) -> None:
        self.name, self.questions, self.test = name, questions, test
        self.dropped = dropped
        """Reason -> number of rows that were dropped on reading."""

    def generate(self, rng: random.Random, level: int) -> Spec:
        """One of the questions."""
        return spec_of(rng.choice(self.questions or self.test))

    def held_out(self, split: Split) -> list[Problem] | None:
        """The questions of the recipe's own test file, in an order that does not depend on the
        file's; None for the part of the questions that the key decides. Without other questions
        there are none for validation."""
        if split is Split.VALIDATION and not self.questions:
            return []
        if split is not Split.TEST or not self.test:
            return None
        problems = [problem_of(question, self.name) for question in self.test]
        return sorted(problems, key=lambda problem: problem.key)


@dataclass(frozen=True, slots=True)
class WrittenSteps:
    """Step writer for DAGs whose edges hold the texts of their steps."""

    def step_texts(self, problem: Problem, depth: int, before: State, move: Move) -> StepTexts:
        """The texts in the action."""
        return StepTexts(*move.action)

    def answer(self, problem: Problem, branch: Sequence[tuple[State, Move]]) -> str:
        """The known answer."""
        return str(problem.spec["answer"])


def spec_of(question: Question) -> Spec:
    """The Spec of a question."""
    return {"question": question.text, "answer": question.answer}


def problem_of(question: Question, name: str) -> Problem:
    """The Problem of a question in the task `name`."""
    spec = spec_of(question)
    key = problem_key(name, canonical_question(question.text))
    return Problem(name, key, 1, "en", (Message("user", question.text),), spec)


def readable_questions(settings: QuestionsRecipe) -> QuestionSet:
    """The questions of `settings` whose answers its grader accepts; the others are counted.

    Raises UserError if there are none.
    """
    found = read_questions(settings)
    graded = accepted(found.questions, grader_named(settings), settings.name)
    for question in compress(found.questions, map(not_, graded)):
        found.drop(UNREADABLE_ANSWER, question.row)
    found.questions = list(compress(found.questions, graded))
    if not found.questions:
        raise UserError(
            f"the grader '{settings.grader}' accepts none of the answers in {settings.source}",
            "choose another with questions.grader, or cut the answers with questions.answer_after",
        )
    return found


def accepted(questions: Iterable[Question], grader: Grader, name: str) -> list[bool]:
    """For each question, whether the grader accepts its own known answer; any regular expression
    is one. Raises UserError if the grader cannot be used at all."""
    return [_accepts(grader, problem_of(question, name)) for question in questions]


def _accepts(grader: Grader, problem: Problem) -> bool:
    try:
        right = grader.grade(problem, str(problem.spec["answer"])) is Grade.RIGHT
    except UnreadableAnswer:
        return False
    return right or isinstance(grader, RegularExpression)


def register_questions(recipe: Recipe) -> None:
    """Registers the recipe's own questions, task files and reasoning-gym data sets as tasks in this
    process. Raises UserError if they cannot be read.
    """
    for file in recipe.problems.files:
        register_task_file(file)
    settings = recipe.questions
    if settings.source or settings.test:
        test = replace(settings, source=settings.test)
        register(_task(settings, source_digest(settings) + source_digest(test)))
    for name in recipe.problems.levels:
        if name.startswith(GYM):
            register(gym_task(name))


@lru_cache(maxsize=8)
def _task(settings: QuestionsRecipe, digest: str) -> Task:
    """The task; read once for each content of the files."""
    train = readable_questions(settings) if settings.source else QuestionSet("")
    test = QuestionSet("")
    if settings.test:
        test = readable_questions(replace(settings, source=settings.test, limit=0))
    dropped = train.dropped + Counter({f"test, {name}": n for name, n in test.dropped.items()})
    return Task(
        settings.name,
        generator=OwnQuestions(settings.name, train.questions, test.questions, dropped),
        grader=grader_named(settings),
        step_writer=WrittenSteps(),
    )
