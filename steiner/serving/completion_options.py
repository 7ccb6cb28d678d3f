"""The settings of one request, the same for all endpoints.

CompletionRequest -> CompletionOptions
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steiner.inference.efforts import SHORTEST_EFFORT
from steiner.types import Message

if TYPE_CHECKING:
    from steiner.serving.schemas import CompletionRequest


@dataclass(frozen=True, slots=True)
class CompletionOptions:
    """The dialogues to complete, and the limits."""

    model: str | None
    """None for the served model."""
    dialogues: Sequence[Sequence[Message]]
    """Several only for text completions."""
    live: bool
    """Whether tokens are read while they are decoded."""
    num_choices: int
    """Choices per dialogue."""
    effort: str | None
    min_steps: int
    max_steps: int | None
    max_tokens: int | None
    """At most so many; the room in the model's context is another limit."""
    max_tokens_field: str
    """The field that `max_tokens` came from, for messages."""
    max_reasoning_tokens: int | None
    temperature: float | None
    top_p: float | None
    min_p: float | None
    seed: int | None
    num_top_logprobs: int

    @classmethod
    def from_request(
        cls,
        body: CompletionRequest,
        dialogues: Sequence[Sequence[Message]],
        *,
        effort: str | None,
        max_tokens: int | None,
        max_tokens_field: str,
        num_top_logprobs: int | None,
    ) -> CompletionOptions:
        """The fields that all endpoints share, and those that have another name in each."""
        return cls(
            model=body.model,
            dialogues=dialogues,
            live=bool(body.stream),
            num_choices=body.n or 1,
            effort=SHORTEST_EFFORT if body.is_thinking_off else effort,
            min_steps=body.min_steps or 0,
            max_steps=body.max_steps,
            max_tokens=max_tokens,
            max_tokens_field=max_tokens_field,
            max_reasoning_tokens=body.thinking_token_budget,
            temperature=body.temperature,
            top_p=body.top_p,
            min_p=body.min_p,
            seed=body.seed,
            num_top_logprobs=num_top_logprobs or 0,
        )
