"""The project's nouns: frozen records that all other modules exchange, and errors for users.

Dimension suffixes in names such as `reward_GS`:
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
"""A legal move, in the task's own terms; hashable and JSON-able."""

Spec = Mapping[str, Any]
"""The content of one problem, as its solver and grader need it; JSON-able."""


class SteinerError(Exception):
    """Base of all errors for users: one line, and a hint on how to fix it.

    SteinerError
    ├── UserError     the input is wrong        (exit code 2)
    └── RunError      the run failed            (exit code 1)
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")  # a traceback shows it under the message


class UserError(SteinerError):
    """The input cannot be used: an unknown key, a bad file, a problem without a solution."""

    exit_code = 2


class RunError(SteinerError):
    """The run cannot continue: the disk is full, a checkpoint is cut, a server is down."""

    exit_code = 1


def reason_of(error: Exception) -> str:
    """The first line of what an exception says, or its kind."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class Split(StrEnum):
    """Part of the data that a problem belongs to; it depends on the problem's key alone."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class Decision(StrEnum):
    """The decision after a step's verification."""

    PROCEED = "proceed"
    BACKTRACK = "backtrack"
    END = "end"


class Status(StrEnum):
    """Kind of a node: a goal, live (a goal can be reached from it) or dead."""

    GOAL = "goal"
    LIVE = "live"
    DEAD = "dead"


class Verdict(StrEnum):
    """Result of a step's verification of the state that it reached.

    GOAL and DEAD are visible from the state itself. OPEN is everything else, including states that
    only a longer search would show to be dead.
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
    messages: tuple[Message, ...]
    spec: Spec
    voice: str = ""
    """The voice in which the last turn is asked, if the task has voices."""

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
    """The four components of a step, in written order."""

    next_step: str
    understanding: str
    summary: str
    verification: str


@dataclass(frozen=True, slots=True)
class Node:
    """A state in a ReasoningDag. All routes that reach the state share the node."""

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
    """The move is forced: if the target is dead, so is the source."""


@dataclass(frozen=True, slots=True)
class ReasoningDag:
    """All states that legal moves can reach from a problem's start (node 0), and these moves."""

    problem: Problem
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a SearchPath or of a model's reasoning.

    `depth` is 0 for the step that reads the question, and 1 for a step taken from its start. After
    a backtrack, a step of depth d starts from the state that the branch had at depth d - 1. `node`
    indexes the DAG's nodes; it is None if the step reached no node of the DAG. `wrong_turn` marks a
    step that the walker chose freely (it was not the next in order) and that led from a live node
    to a dead one.
    """

    texts: StepTexts
    decision: Decision
    depth: int
    node: int | None = None
    wrong_turn: bool = False


@dataclass(frozen=True, slots=True)
class SearchPath:
    """A linear walk through a ReasoningDag, with dead ends and backtracking, and its answer."""

    problem: Problem
    steps: tuple[Step, ...]
    answer: str
    truncated: bool = False
    """True if the walk was cut at a limit, so the walker did not choose to end."""


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """A tokenised SearchPath; both fields have length T."""

    token_ids: tuple[int, ...]
    loss_weights: tuple[float, ...]


class StopReason(StrEnum):
    """Why generation of a rollout stopped."""

    END = "end"
    """The model closed its turn."""
    LENGTH = "length"
    """max_tokens ran out."""
    REPETITION = "repetition"
    """The completion repeated itself and was stopped; it has no answer."""
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
    """Log-probability of each completion token under the masked sampling distribution at T=1 (from
    vLLM: at the request's temperature)."""
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
    top_logprobs: tuple[tuple[tuple[int, float], ...], ...] = ()
    """(T,) the likeliest (token id, log-probability) pairs at each position, likeliest first, as
    many as the request asked for; empty if it asked for none."""
