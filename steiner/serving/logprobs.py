"""Log-probabilities of the answer's tokens, in the objects of the APIs.

Rollout -> one TokenLogprob per token of the answer

A log-probability is that of the masked distribution at temperature 1: tokens that the format
forbids have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from typing_extensions import TypedDict

from steiner.format.tokenizer import Vocabulary
from steiner.types import Rollout

_LOWEST = -9999.0
"""Stands for minus infinity, which JSON cannot hold; OpenAI uses the same number."""


class Alternative(TypedDict):
    """A token that could stand at a position."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(Alternative):
    """The token at a position, and the likeliest tokens there."""

    top_logprobs: list[Alternative]


class ChatLogprobs(TypedDict):
    """Log-probabilities of a choice of a chat completion."""

    content: list[TokenLogprob]
    refusal: None


class TextLogprobs(TypedDict):
    """Log-probabilities of a choice of a text completion."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


def answer_logprobs(
    rollout: Rollout, vocabulary: Vocabulary, num_top: int, max_characters: int | None
) -> list[TokenLogprob]:
    """The answer's tokens, with `num_top` alternatives each.

    White space around the answer is included. A stop text ends them: tokens after the first
    `max_characters` of the answer are left out.
    """
    if rollout.answer_span is None:
        return []
    tokens: list[TokenLogprob] = []
    num_characters = 0  # without the white space before the answer
    for position in range(*rollout.answer_span):
        if max_characters is not None and num_characters >= max_characters:
            break
        top = rollout.top_logprobs[position][:num_top] if rollout.top_logprobs else ()
        token = _alternative(vocabulary, rollout.token_ids[position], rollout.logprobs[position])
        others = [_alternative(vocabulary, id, logprob) for id, logprob in top]
        tokens.append(TokenLogprob(**token, top_logprobs=others))
        num_characters += len(token["token"] if num_characters else token["token"].lstrip())
    return tokens


def chat_logprobs(tokens: list[TokenLogprob]) -> ChatLogprobs:
    """In the form of a chat completion."""
    return ChatLogprobs(content=tokens, refusal=None)


def text_logprobs(tokens: Sequence[TokenLogprob]) -> TextLogprobs:
    """In the form of a text completion."""
    texts = [token["token"] for token in tokens]
    return TextLogprobs(
        tokens=texts,
        token_logprobs=[token["logprob"] for token in tokens],
        top_logprobs=[
            {other["token"]: other["logprob"] for other in token["top_logprobs"]}
            for token in tokens
        ],
        text_offset=list(accumulate(map(len, texts), initial=0))[: len(texts)],
    )


def _alternative(vocabulary: Vocabulary, token_id: int, logprob: float) -> Alternative:
    text = str(vocabulary.tokenizer.decode([token_id]))
    return Alternative(token=text, logprob=max(logprob, _LOWEST), bytes=list(text.encode()))
