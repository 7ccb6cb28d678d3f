"""The project's nouns, as frozen records that every other module passes along.

Legend of dimension suffixes, used wherever shapes matter:
P problems, G rollouts per problem, S steps, B rows, T tokens, V vocabulary, D width.

Data flows one way: Problem -> ReasoningDag -> SearchPath -> TokenSequence -> model -> Rollout.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

State = tuple[Any, ...]
"""A position in a problem's search space: nested tuples of int and str, hashable and JSON-able."""

Action = tuple[Any, ...]
"""One legal move, in the family's own terms; hashable and JSON-able."""

Spec = Mapping[str, Any]
"""What a family's solver and checker need to know of one problem; JSON-able."""


class SteinerError(Exception):
    """Base of all errors meant for a user: one line, and a hint that says what to do.

    SteinerError
    ├── UserError     the input is at fault     (exit code 2)
    └── RunError      the run failed            (exit code 1)
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UserError(SteinerError):
    """What the user gave cannot be used: an unknown key, a bad file, a problem without solution."""

    exit_code = 2


class RunError(SteinerError):
    """The run could not go on: disk full, a checkpoint cut short, a server gone."""

    exit_code = 1


class Split(StrEnum):
    """Which part of the data a problem belongs to; a function of its content alone."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Decision(StrEnum):
    """What a step decides once it is verified."""

    PROCEED = "proceed"
    BACKTRACK = "backtrack"
    END = "end"


class Status(StrEnum):
    """What a node is: a goal, live (a goal can be reached from it) or dead."""

    GOAL = "goal"
    LIVE = "live"
    DEAD = "dead"


class Verdict(StrEnum):
    """What a step's verification says of the state that it reached.

    GOAL and DEAD are visible from the state itself; OPEN says neither, even of a state that a
    longer search would show to be dead.
    """

    GOAL = "goal"
    OPEN = "open"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a dialogue; role is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A question with everything its checker needs.

    `key` is a hash of the family and of the problem's canonical content, so neither seed, wording
    nor language can put one problem into two splits.
    """

    family: str
    key: str
    level: int
    language: str
    wording: int
    messages: tuple[Message, ...]
    spec: Spec

    @property
    def split(self) -> Split:
        """90 % train, 5 % validation, 5 % test, decided by the key."""
        return split_of(self.key)

    @property
    def question(self) -> str:
        """The last user turn."""
        return self.messages[-1].content


def problem_key(family: str, identity: str) -> str:
    """The problem's key: 16 hexadecimal digits of the SHA-256 of `family/identity`."""
    return hashlib.sha256(f"{family}/{identity}".encode()).hexdigest()[:16]


def split_of(key: str) -> Split:
    """Split of a problem by its key; the first 32 bits decide."""
    fraction = int(key[:8], 16) / 2**32
    if fraction < 0.05:
        return Split.TEST
    return Split.VALIDATION if fraction < 0.10 else Split.TRAIN


@dataclass(frozen=True, slots=True)
class StepTexts:
    """The four components of a step, in the order in which they are written."""

    next_step: str
    understanding: str
    summary: str
    verification: str


@dataclass(frozen=True, slots=True)
class Node:
    """A state in a ReasoningDag, shared by every route that reaches it."""

    state: State
    status: Status
    in_degree: int
    out_degree: int
    distance_start: int
    distance_end: int | None
    """Fewest edges to a goal; None from a dead node."""


@dataclass(frozen=True, slots=True)
class Edge:
    """A legal step from one node to another; source and target index `ReasoningDag.nodes`."""

    source: int
    target: int
    action: Action
    certain: bool = False
    """It follows from the source: where the target is dead, so is the source."""


@dataclass(frozen=True, slots=True)
class ReasoningDag:
    """All states that legal steps can reach from a problem's start (node 0), and those steps."""

    problem: Problem
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a SearchPath or of a model's reasoning.

    `depth` is 1 for a step taken from the question itself; after a backtrack, a step of depth d
    starts from the state that the branch had at depth d - 1. `node` indexes the DAG's nodes, and
    is None where the step reached no node of it. `wrong_turn` marks a step that was chosen (and
    not the next in order) and left a live node for a dead one.
    """

    texts: StepTexts
    decision: Decision
    depth: int
    node: int | None = None
    wrong_turn: bool = False


@dataclass(frozen=True, slots=True)
class SearchPath:
    """A linear walk through a ReasoningDag, dead ends and backtracking included, and its answer."""

    problem: Problem
    steps: tuple[Step, ...]
    answer: str
    truncated: bool = False
    """True where the walk was cut at a limit, so that the end was not the walker's own choice."""


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """A tokenised SearchPath; all three have length T."""

    token_ids: tuple[int, ...]
    loss_weights: tuple[float, ...]
    step_index: tuple[int, ...]
    """Index of the step that a token belongs to (its decision token included); -1 for none."""


class StopReason(StrEnum):
    """Why generation of a rollout stopped."""

    END = "end"
    """The model closed its turn."""
    LENGTH = "length"
    """max_tokens ran out."""
    CANCELLED = "cancelled"
    """The caller stopped it."""


@dataclass(frozen=True, slots=True)
class StepSpan:
    """Token positions [start, stop) of one step in a completion, its decision token included."""

    start: int
    stop: int
    components: tuple[tuple[int, int], ...]
    """[start, stop) of the text of each finished component, in written order."""
    decision: Decision | None
    """None where the step was cut short before it decided."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A completion of one prompt, parsed by the grammar where its tokens were generated."""

    prompt_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    """Completion only; includes the closing token when stop_reason is END."""
    logprobs: tuple[float, ...]
    """Log-probability of each completion token under the masked sampling distribution at T=1."""
    stop_reason: StopReason
    steps: tuple[Step, ...] = ()
    answer: str = ""
    well_formed: bool = False
    """True where the tokens match the grammar of format/grammar.py from start to end."""
    spans: tuple[StepSpan, ...] = ()
    """Where each step stands in `token_ids`; as many as `steps`."""
    answer_span: tuple[int, int] | None = None
    """[start, stop) of the answer's tokens; None where no answer was begun."""
    forced: tuple[bool, ...] = ()
    """(T,) True where grammar and budget allowed exactly one token: the model chose nothing."""

    @property
    def step_index(self) -> tuple[int, ...]:
        """(T,) index of the step that each token belongs to; -1 outside steps."""
        index_T = [-1] * len(self.token_ids)
        for step, span in enumerate(self.spans):
            index_T[span.start : span.stop] = [step] * (span.stop - span.start)
        return tuple(index_T)
