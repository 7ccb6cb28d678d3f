"""What becomes of a completion, for either API: told at the end, or bit by bit.

Completion -> Accounts of its choices, or Sayings as they come
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from fastapi import Request

from steiner.format.tokenizer import Vocabulary
from steiner.inference.answer import read_search, reasoning_tokens
from steiner.serving.completion import Completion
from steiner.serving.formatting import (
    Content,
    Delta,
    Scribe,
    StepObject,
    reasoning_text,
    step_object,
)
from steiner.serving.streaming import all_rollouts
from steiner.types import Rollout, StopReason

TIME_LIMIT = "time_limit"


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a choice ended, and the tokens that it took."""

    whole: bool
    """Whether the model closed its turn, or a stop text did; else a limit did."""
    stop_reason: str | None
    """The stop text that ended it, or "time_limit"."""
    num_prompt: int
    num_written: int
    num_reasoning: int


@dataclass(frozen=True, slots=True)
class Account:
    """All that one choice says."""

    reasoning: str
    steps: list[StepObject]
    content: str
    ending: Ending


@dataclass(frozen=True, slots=True)
class Saying:
    """More of one choice; the last one has its ending."""

    choice: int
    delta: Delta
    ending: Ending | None


async def accounts(
    completion: Completion, request: Request, vocabulary: Vocabulary, stops: Sequence[str] = ()
) -> list[Account]:
    """The account of each choice. A client that leaves ends the completion."""
    rollouts = await all_rollouts(completion, request)
    return [_account(rollout, completion, vocabulary, stops) for rollout in rollouts]


async def sayings(
    completion: Completion, vocabulary: Vocabulary, stops: Sequence[str] = ()
) -> AsyncIterator[Saying]:
    """What the choices say, as they say it; a choice that comes to a stop text is ended."""
    scribes = [Scribe(vocabulary, completion.problem, stops) for _ in range(completion.num_choices)]
    async for choice, progress in completion.arrivals():
        scribe = scribes[choice]
        delta = scribe.write(progress.token_ids, last=progress.last)
        stopped_at = scribe.content.stopped_at
        if stopped_at is not None:
            completion.cancel_choice(choice)
        ending = None
        if progress.rollout is not None:
            ending = _ending(progress.rollout, completion, vocabulary, stopped_at)
        if delta or ending:
            yield Saying(choice, delta, ending)


def _account(
    rollout: Rollout, completion: Completion, vocabulary: Vocabulary, stops: Sequence[str]
) -> Account:
    search = read_search(rollout, completion.problem)
    content = Content(stops)
    text = content.add(rollout.answer) + content.rest()
    return Account(
        reasoning=reasoning_text(search.steps),
        steps=[
            step_object(index, step, node)
            for index, (step, node) in enumerate(zip(search.steps, search.tree.nodes, strict=True))
        ],
        content=text,
        ending=_ending(rollout, completion, vocabulary, content.stopped_at),
    )


def _ending(
    rollout: Rollout, completion: Completion, vocabulary: Vocabulary, stopped_at: str | None
) -> Ending:
    expired = completion.expired and rollout.stop_reason is StopReason.CANCELLED
    return Ending(
        whole=rollout.stop_reason is StopReason.END or stopped_at is not None,
        stop_reason=stopped_at or (TIME_LIMIT if expired else None),
        num_prompt=len(rollout.prompt_ids),
        num_written=len(rollout.token_ids),
        num_reasoning=reasoning_tokens(rollout, vocabulary),
    )
