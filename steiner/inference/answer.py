"""The answer to a question, with its search, grade, votes and token usage.

Rollouts of one question -> Answer
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steiner.format import grammar
from steiner.format.tokenizer import Vocabulary
from steiner.inference.search_tree import Tree, build_tree
from steiner.inference.step_events import StepEvent
from steiner.inference.voting import Vote, mean_logprob, tally
from steiner.tasks import Grade, grade, read_problem
from steiner.tasks.no_answer import has_search, is_reading
from steiner.types import Decision, Message, Problem, Rollout, Step, StopReason

STOP_NOTES = {
    StopReason.LENGTH: "cut short by max_tokens",
    StopReason.REPETITION: "the search repeated itself and was stopped",
    StopReason.CANCELLED: "stopped by the caller",
}
"""The words that every display uses for a search that did not end by itself."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts over all samples; the prompt counts once."""

    prompt_tokens: int
    reasoning_tokens: int
    """Tokens up to the end of the reasoning, special tokens included."""
    answer_tokens: int
    """The answer and the token that closes it."""

    @property
    def total_tokens(self) -> int:
        """The sum of the three."""
        return self.prompt_tokens + self.reasoning_tokens + self.answer_tokens


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of one question. With several samples, the search is the vote winner's."""

    text: str
    steps: tuple[Step, ...]
    """Each with its decision and its depth in the tree."""
    tree: Tree
    usage: Usage
    stop_reason: StopReason
    problem: Problem | None
    """The problem that grades the answer: the caller's, else the one that the first step reads in
    the question; None if there is none."""
    accepted: bool | None
    """True if the task's grader accepts the answer to `problem`; None if nothing grades it."""
    rollouts: tuple[Rollout, ...]
    """All samples, the chosen one included."""
    votes: tuple[Vote, ...] = ()
    """Votes, most first; empty for one sample."""
    step_limit: int | None = None
    """The most steps that were allowed, if that ended the search; None if anything else did."""

    @property
    def reading(self) -> str:
        """The question as the model read it: the line of its first step; empty if none."""
        first = self.steps[0].texts if self.steps else None
        return first.understanding if first is not None and is_reading(first) else ""

    @property
    def is_misread(self) -> bool:
        """True if the reading has numbers or names that the dialogue does not contain, or is no
        line that a task can read."""
        if self.problem is not None or not self.reading:
            return False
        problem = read_problem(self.reading)
        return problem is None or has_search(problem.spec)


@dataclass(frozen=True, slots=True)
class Finished:
    """The last event: the whole answer."""

    answer: Answer


ReasoningEvent = StepEvent | Finished


def build_answer(
    rollouts: Sequence[Rollout],
    problem: Problem | None,
    vocabulary: Vocabulary,
    messages: Sequence[Message] = (),
    max_steps: int | None = None,
) -> Answer:
    """Builds the Answer from the rollouts of one question; `problem` is the problem it states, if
    the caller knows it, `messages` is the dialogue, and `max_steps` the limit of its budget."""
    votes = tally(rollouts) if len(rollouts) > 1 else ()
    chosen = rollouts[votes[0].sample] if votes else max(rollouts, key=mean_logprob)
    search = read_search(chosen, problem, messages)
    return Answer(
        text=chosen.answer,
        steps=search.steps,
        tree=search.tree,
        usage=_usage(rollouts, vocabulary),
        stop_reason=chosen.stop_reason,
        problem=search.problem,
        accepted=search.accepted,
        rollouts=tuple(rollouts),
        votes=votes,
        step_limit=max_steps if _ended_by_limit(chosen, max_steps) else None,
    )


def _ended_by_limit(rollout: Rollout, max_steps: int | None) -> bool:
    """True if the last step was the last that was allowed, so that the model had to end."""
    if len(rollout.spans) != max_steps or not rollout.forced:
        return False
    last = rollout.spans[-1]
    return last.decision is Decision.END and rollout.forced[last.stop - 1]


@dataclass(frozen=True, slots=True)
class GradedSearch:
    """The search of one rollout: steps with their depths, tree, and the grade of its answer."""

    steps: tuple[Step, ...]
    tree: Tree
    problem: Problem | None
    """The problem that graded the answer."""
    accepted: bool | None
    """The grade of the answer; None if nothing can grade it."""


def read_search(
    rollout: Rollout, problem: Problem | None = None, messages: Sequence[Message] = ()
) -> GradedSearch:
    """Grades a rollout's answer, then builds the tree, whose last mark depends on the grade.

    Without `problem`, the answer is graded as one to the question as the model read it, if the
    dialogue `messages` contains its givens.
    """
    problem = problem or restated_problem(rollout.steps, messages)
    accepted = accepts(problem, rollout.answer)
    stopped = not rollout.well_formed or rollout.stop_reason is not StopReason.END
    steps, tree = build_tree(rollout.steps, problem, accepted=accepted, stopped=stopped)
    return GradedSearch(steps, tree, problem, accepted)


def restated_problem(steps: Sequence[Step], messages: Sequence[Message] = ()) -> Problem | None:
    """The problem that the first step reads in the dialogue `messages`.

    None if no task can read its line, if the line says that something is missing, or if it has
    givens that the dialogue does not contain.
    """
    if not steps or not is_reading(steps[0].texts):
        return None
    problem = read_problem(steps[0].texts.understanding, messages)
    return problem if problem is not None and has_search(problem.spec) else None


def accepts(problem: Problem | None, answer: str) -> bool | None:
    """True if the problem's grader accepts the answer; None without a problem."""
    if problem is None:
        return None
    return grade(problem, answer) is Grade.RIGHT


def _usage(rollouts: Sequence[Rollout], vocabulary: Vocabulary) -> Usage:
    reasoning = [reasoning_tokens(rollout, vocabulary) for rollout in rollouts]
    written = sum(len(rollout.token_ids) for rollout in rollouts)
    return Usage(len(rollouts[0].prompt_ids), sum(reasoning), written - sum(reasoning))


def reasoning_tokens(rollout: Rollout, vocabulary: Vocabulary) -> int:
    """Number of tokens up to the end of the reasoning; all tokens if it has no end."""
    end = vocabulary.special_ids[grammar.SPECIAL_TOKENS.index(grammar.END)]
    ids = rollout.token_ids
    return ids.index(end) + 1 if end in ids else len(ids)
