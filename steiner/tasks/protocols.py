"""What a problem family is: a generator, its legal moves, a strict checker, and its wording.

random stream, level -> Spec -> states and moves -> step texts, question, answer

A new family is one new module in this package that ends in `FAMILY = ...`, one table in
text/<language>.toml, and one test; `problems.families()` finds it by itself.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from steiner.tasks.phrases import Phrases
from steiner.types import Action, Spec, State, StepTexts, Verdict


@dataclass(frozen=True, slots=True)
class Move:
    """A legal move from some state, and the state that it leads to.

    certain: what it claims follows from the state, so that no other move mends it if it fails.
    """

    action: Action
    state: State
    certain: bool = False


@dataclass(frozen=True, slots=True)
class StepReading:
    """What a step's four texts say, as read back from them; None where a text is unreadable.

    `depth`, `before` and `action` come from next_step, `after` from summary, `verdict` from
    verification. `sound` is False where a text states a fact that is false beside these: a sum, a
    clash, or the understanding of what follows from `before` and `action`.
    """

    depth: int | None
    action: Action | None
    before: State | None
    after: State | None
    verdict: Verdict | None
    sound: bool = True


class Family(ABC):
    """One kind of problem. All methods are pure functions of their arguments."""

    name: str
    levels: range
    """Difficulty levels that `generate` takes, easiest first."""

    @abstractmethod
    def generate(self, rng: random.Random, level: int) -> Spec:
        """A problem that has a solution."""

    @abstractmethod
    def identity(self, spec: Spec) -> str:
        """A canonical text of the problem: equal for problems that differ in wording only."""

    @abstractmethod
    def start(self, spec: Spec) -> State:
        """The state that the question describes."""

    @abstractmethod
    def moves(self, spec: Spec, state: State) -> Sequence[Move]:
        """Legal moves, in a fixed order; none from a goal or from a visible dead end."""

    @abstractmethod
    def verdict(self, spec: Spec, state: State) -> Verdict:
        """What can be seen of a state without searching on."""

    @abstractmethod
    def step_texts(
        self, spec: Spec, phrases: Phrases, depth: int, before: State, move: Move
    ) -> StepTexts:
        """The four texts of the step at `depth` (from 1) that takes `move` in state `before`."""

    @abstractmethod
    def read_step(self, spec: Spec, phrases: Phrases, texts: StepTexts) -> StepReading:
        """The inverse of `step_texts`, for texts that a model wrote."""

    @abstractmethod
    def question(self, spec: Spec, phrases: Phrases, wording: int) -> str:
        """The question in wording number `wording` of `phrases.questions`."""

    @abstractmethod
    def recognise(self, phrases: Phrases, text: str) -> Spec | None:
        """The problem that a question typed by hand poses; None where it is none of this family.

        Raises UserError where the question is of this family but cannot be posed (numbers out of
        range, a broken grid).
        """

    @abstractmethod
    def answer(self, spec: Spec, phrases: Phrases, branch: Sequence[tuple[State, Move]]) -> str:
        """The answer at the end of `branch`: (state before, move) from the start to a goal."""

    @abstractmethod
    def check(self, spec: Spec, phrases: Phrases, answer: str) -> bool:
        """True where `answer` solves the problem, and nothing else stands in it."""

    @abstractmethod
    def from_reasoning_gym(self, metadata: dict[str, object]) -> Spec | None:
        """The Spec of an item of reasoning-gym's data set of the same name, by its metadata;
        None where it lies outside what this family can pose."""

    @abstractmethod
    def to_reasoning_gym(self, spec: Spec, phrases: Phrases, answer: str) -> str:
        """`answer` in the notation that reasoning-gym's scorer of the same name reads; the empty
        string where it cannot be read. Only the notation changes: nothing is corrected."""
