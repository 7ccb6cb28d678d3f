"""Builds API results from completions, streamed or whole.

Completion -> ChoiceResults at the end, or ChoiceDeltas while decoding
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import Request

from steiner.format.tokenizer import Vocabulary
from steiner.inference.answer import GradedSearch, read_search, reasoning_tokens
from steiner.serving.completion import Completion
from steiner.serving.formatting import (
    AnswerText,
    Delta,
    DeltaFormatter,
    StepObject,
    reasoning_text,
    step_object,
)
from steiner.serving.logprobs import TokenLogprob, answer_logprobs
from steiner.serving.streaming import all_rollouts
from steiner.types import Rollout, StopReason

TIME_LIMIT, REPETITION = "time_limit", "repetition"


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Stop texts and log-probabilities that the client asked for."""

    stops: tuple[str, ...] = ()
    """Texts that end the answer."""
    num_top_logprobs: int | None = None
    """Alternatives per token; None for no log-probabilities."""


@dataclass(frozen=True, slots=True)
class ChoiceEnding:
    """The end of a choice: its cause, token counts, final marks and log-probabilities."""

    complete: bool
    """Whether the model closed its turn or a stop text ended it; otherwise a limit did."""
    stop_reason: str | None
    """The stop text, "time_limit" or "repetition"; None for the other ends."""
    num_written: int
    """Tokens of reasoning and answer."""
    num_reasoning: int
    marks: tuple[str, ...]
    """The final Mark of each step."""
    logprobs: list[TokenLogprob] | None


@dataclass(frozen=True, slots=True)
class ChoiceResult:
    """A whole choice."""

    reasoning: str
    steps: list[StepObject]
    content: str
    ending: ChoiceEnding


@dataclass(frozen=True, slots=True)
class ChoiceDelta:
    """More of one choice; the last one has the ending."""

    choice: int
    delta: Delta
    ending: ChoiceEnding | None


async def choice_results(
    completion: Completion, request: Request, vocabulary: Vocabulary, options: OutputOptions
) -> list[ChoiceResult]:
    """The result of each choice. A client that disconnects cancels the completion."""
    rollouts = await all_rollouts(completion, request)
    return [
        _result(choice, rollout, completion, vocabulary, options)
        for choice, rollout in enumerate(rollouts)
    ]


async def choice_deltas(
    completion: Completion, vocabulary: Vocabulary, options: OutputOptions
) -> AsyncIterator[ChoiceDelta]:
    """The deltas of all choices while they are decoded. A stop text ends its choice."""
    formatters = [DeltaFormatter(vocabulary, options.stops) for _ in range(completion.num_choices)]
    async for choice, update in completion.updates():
        formatter = formatters[choice]
        delta = formatter.add(update.token_ids, last=update.last)
        answer = formatter.answer
        if answer.stopped_at is not None:
            completion.cancel_choice(choice)
        ending = None
        if update.rollout is not None:
            search = read_search(update.rollout, None, completion.dialogues[choice])
            ending = _ending(update.rollout, search, completion, vocabulary, answer, options)
        if delta or ending:
            yield ChoiceDelta(choice, delta, ending)


def _result(
    choice: int,
    rollout: Rollout,
    completion: Completion,
    vocabulary: Vocabulary,
    options: OutputOptions,
) -> ChoiceResult:
    search = read_search(rollout, None, completion.dialogues[choice])
    answer = AnswerText(options.stops)
    text = answer.add(rollout.answer) + answer.rest()
    return ChoiceResult(
        reasoning=reasoning_text(search.steps),
        steps=[
            step_object(index, step, node)
            for index, (step, node) in enumerate(zip(search.steps, search.tree.nodes, strict=True))
        ],
        content=text,
        ending=_ending(rollout, search, completion, vocabulary, answer, options),
    )


def _ending(
    rollout: Rollout,
    search: GradedSearch,
    completion: Completion,
    vocabulary: Vocabulary,
    answer: AnswerText,
    options: OutputOptions,
) -> ChoiceEnding:
    logprobs = None
    if options.num_top_logprobs is not None:
        most = None if answer.stopped_at is None else answer.length
        logprobs = answer_logprobs(rollout, vocabulary, options.num_top_logprobs, most)
    return ChoiceEnding(
        complete=rollout.stop_reason is StopReason.END or answer.stopped_at is not None,
        stop_reason=answer.stopped_at or _limit(rollout, completion),
        num_written=len(rollout.token_ids),
        num_reasoning=reasoning_tokens(rollout, vocabulary),
        marks=tuple(str(node.mark) for node in search.tree.nodes),
        logprobs=logprobs,
    )


def _limit(rollout: Rollout, completion: Completion) -> str | None:
    """The name of the limit that ended a rollout, unless it is a number of tokens."""
    if rollout.stop_reason is StopReason.REPETITION:
        return REPETITION
    expired = completion.expired and rollout.stop_reason is StopReason.CANCELLED
    return TIME_LIMIT if expired else None
