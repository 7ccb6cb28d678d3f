"""Protocols of a task: small interfaces, and the Task that puts their implementations together.

random stream, level -> Spec -> states and moves -> step texts, question, answer, grade

A generator and a grader make a task: it can be evaluated, and trained with outcome reward. Exact
DAGs, exact step rewards and search paths need a state space, a step writer and a step reader.
All methods are pure functions of their arguments. Those that depend on the language take a Problem,
which names its language. docs/extending.md shows how to add a task.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar, runtime_checkable

from steiner.types import Action, Problem, Spec, Split, State, StepTexts, UserError, Verdict

T = TypeVar("T")


class Grade(StrEnum):
    """A grader's result for one answer."""

    RIGHT = "right"
    WRONG = "wrong"
    UNREADABLE = "unreadable"
    """The answer is not in a form that the grader can read; it scores 0."""


@dataclass(frozen=True, slots=True)
class Move:
    """A legal move from a state, and the state it leads to.

    `certain` marks a move that follows from the state: if the state after it is dead, no other move
    from the same state helps.
    """

    action: Action
    state: State
    certain: bool = False


@dataclass(frozen=True, slots=True)
class StepReading:
    """A step's four texts, parsed; a field is None if its text is unreadable.

    `depth`, `before` and `action` come from next_step, `after` from summary, `verdict` from
    verification. `sound` is False if a text states something false given the others: a wrong sum,
    a missed contradiction, or a wrong understanding of `before` and `action`.
    """

    depth: int | None
    action: Action | None
    before: State | None
    after: State | None
    verdict: Verdict | None
    sound: bool = True


@dataclass(frozen=True, slots=True)
class WordedQuestion:
    """A question, and the voice that asks it.

    statements: the sentences in it that the first step quotes, as the voice words them.
    """

    text: str
    voice: str = ""
    statements: tuple[str, ...] = ()


class ProblemGenerator(Protocol):
    """Generates problems and words their questions."""

    levels: range
    """Difficulty levels that `generate` takes, easiest first."""

    def generate(self, rng: random.Random, level: int) -> Spec:
        """A problem that has a solution."""

    def canonical_text(self, spec: Spec) -> str:
        """A text that is equal for isomorphic problems and differs for others; it decides the
        problem's key."""

    def question(
        self, spec: Spec, language: str, rng: random.Random, split: Split
    ) -> WordedQuestion:
        """The question in random words, in one of the voices of `split`.

        Raises UserError if there are none in `language`.
        """


@runtime_checkable
class VariedGenerator(Protocol):
    """A generator of problems with parts that do not matter for the search, such as names."""

    def vary(self, spec: Spec, rng: random.Random, language: str) -> Spec:
        """The same problem with new names and words of this language; states and moves stay the
        same. `generate` draws English ones."""

    def as_typed(self, spec: Spec, question: WordedQuestion) -> Spec:
        """The same problem with such parts as `question` spells them."""

    def as_changed(self, spec: Spec, earlier: Spec, follow_up: str) -> Spec:
        """The same problem with such parts as a dialogue spells them, in which `follow_up` changed
        the problem `earlier`."""


@runtime_checkable
class UnanswerableGenerator(Protocol):
    """A generator of questions that have no answer (steiner/tasks/no_answer.py)."""

    def unanswerable(self, rng: random.Random, level: int) -> Spec:
        """A Spec with `no_answer`: a problem without a solution, or one that lacks a given."""


@runtime_checkable
class FollowUpGenerator(Protocol):
    """A generator of later turns of a dialogue."""

    def follow_up(
        self, spec: Spec, language: str, rng: random.Random, split: Split
    ) -> tuple[Spec, str] | None:
        """An earlier problem, and a turn that changes it into `spec`; None if none was found."""


@runtime_checkable
class HeldOutGenerator(Protocol):
    """A generator with problems of its own for evaluation, such as a test file."""

    def held_out(self, split: Split) -> list[Problem] | None:
        """The problems of `split`; None if the problems' keys decide which are held out."""


class Grader(Protocol):
    """Grades answers strictly: no credit for parts, echoes or lists of candidates."""

    def grade(self, problem: Problem, answer: str) -> Grade:
        """The grade of `answer`."""


class QuestionReader(Protocol):
    """The first step of an answer: it restates the question in one canonical line."""

    def reading(self, problem: Problem) -> StepTexts:
        """The texts of that step; its understanding is the canonical line."""

    def read_question(self, understanding: str, language: str) -> Spec | None:
        """The Spec that a canonical line states; None if it is not of this task."""

    def is_stated(self, spec: Spec, text: str, language: str) -> bool:
        """True if the text of a dialogue contains the problem's numbers and names, in the
        words of the language."""


class StateSpace(Protocol):
    """The search space of a problem."""

    def start(self, spec: Spec) -> State:
        """The state that the question describes."""

    def moves(self, spec: Spec, state: State) -> Sequence[Move]:
        """Legal moves in a fixed order; none from a goal or from a visible dead end."""

    def verdict(self, spec: Spec, state: State) -> Verdict:
        """The status of a state that can be seen without further search."""


class StepWriter(Protocol):
    """Words steps and answers."""

    def step_texts(self, problem: Problem, depth: int, before: State, move: Move) -> StepTexts:
        """The four texts of the step at `depth` (from 1) that takes `move` in state `before`."""

    def answer(self, problem: Problem, branch: Sequence[tuple[State, Move]]) -> str:
        """The answer at the end of `branch`: (state before, move) from the start to a goal."""


class StepReader(Protocol):
    """Parses steps that a model wrote: the inverse of a StepWriter."""

    def read_step(self, problem: Problem, texts: StepTexts) -> StepReading:
        """The content of a step's texts."""


@runtime_checkable
class PuzzleFamily(
    ProblemGenerator, Grader, QuestionReader, StateSpace, StepWriter, StepReader, Protocol
):
    """All of the protocols in one object, as the built-in families implement them."""

    name: str


@dataclass(frozen=True, slots=True)
class Task:
    """One kind of problem. Only `generator` and `grader` are required."""

    name: str
    generator: ProblemGenerator
    grader: Grader
    reader: QuestionReader | None = None
    state_space: StateSpace | None = None
    step_writer: StepWriter | None = None
    step_reader: StepReader | None = None
    is_always_unanswerable: bool = False
    """Its messages state no puzzle; the right answer is to say so."""

    @classmethod
    def of_family(cls, family: PuzzleFamily) -> Task:
        """The Task of an object that implements every protocol."""
        return cls(family.name, family, family, family, family, family, family)

    @property
    def has_exact_dags(self) -> bool:
        """True if a solver can build DAGs, word search paths and read steps back."""
        parts = (self.reader, self.state_space, self.step_writer, self.step_reader)
        return None not in parts

    def require_reader(self) -> QuestionReader:
        """The reader of questions. Raises UserError if the task has none."""
        return _required(self.name, "question reader", self.reader)

    def require_state_space(self) -> StateSpace:
        """The state space. Raises UserError if the task has none."""
        return _required(self.name, "state space", self.state_space)

    def require_step_writer(self) -> StepWriter:
        """The step writer. Raises UserError if the task has none."""
        return _required(self.name, "step writer", self.step_writer)

    def require_step_reader(self) -> StepReader:
        """The step reader. Raises UserError if the task has none."""
        return _required(self.name, "step reader", self.step_reader)


def _required(name: str, part: str, found: T | None) -> T:
    if found is None:
        raise UserError(
            f"task '{name}' has no {part}, so it has no exact DAGs, search paths or step rewards",
            "evaluate it, or train it with outcome reward only (rl.step_reward_weight=0)",
        )
    return found


def grade_of(right: bool | None) -> Grade:
    """RIGHT or WRONG; UNREADABLE for None."""
    if right is None:
        return Grade.UNREADABLE
    return Grade.RIGHT if right else Grade.WRONG
