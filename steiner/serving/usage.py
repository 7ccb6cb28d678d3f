"""Token usage of a request, as both APIs report it.

a request's prompt tokens, the endings of its choices -> the `usage` object of an endpoint

A prompt counts once, and the tokens of all choices count together. Reasoning tokens are part of
the completion, as in OpenAI's API.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import TypedDict

from steiner.serving.results import ChoiceEnding


class PromptDetails(TypedDict):
    """Details of the prompt's tokens in a chat completion."""

    cached_tokens: int


class CompletionDetails(TypedDict):
    """Details of the completion's tokens in a chat completion."""

    reasoning_tokens: int


class ChatUsage(TypedDict):
    """Usage of a chat completion."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class InputDetails(TypedDict):
    """Details of the input's tokens in a response."""

    cached_tokens: int


class OutputDetails(TypedDict):
    """Details of the output's tokens in a response."""

    reasoning_tokens: int


class ResponseUsage(TypedDict):
    """Usage of a response."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: OutputDetails
    total_tokens: int


def chat_usage(num_prompt: int, endings: Sequence[ChoiceEnding]) -> ChatUsage:
    """Usage of a chat or text completion with one ending per choice."""
    num_written, num_reasoning = _totals(endings)
    return ChatUsage(
        prompt_tokens=num_prompt,
        completion_tokens=num_written,
        total_tokens=num_prompt + num_written,
        prompt_tokens_details=PromptDetails(cached_tokens=0),
        completion_tokens_details=CompletionDetails(reasoning_tokens=num_reasoning),
    )


def response_usage(num_prompt: int, endings: Sequence[ChoiceEnding]) -> ResponseUsage:
    """Usage of a response with one ending per choice."""
    num_written, num_reasoning = _totals(endings)
    return ResponseUsage(
        input_tokens=num_prompt,
        input_tokens_details=InputDetails(cached_tokens=0),
        output_tokens=num_written,
        output_tokens_details=OutputDetails(reasoning_tokens=num_reasoning),
        total_tokens=num_prompt + num_written,
    )


def _totals(endings: Sequence[ChoiceEnding]) -> tuple[int, int]:
    """Tokens of all choices, and of their reasoning."""
    return (
        sum(ending.num_written for ending in endings),
        sum(ending.num_reasoning for ending in endings),
    )
