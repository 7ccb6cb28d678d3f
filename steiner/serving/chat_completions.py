"""POST /v1/chat/completions: OpenAI's API, with the reasoning next to the content.

ChatRequest -> chat.completion, or a stream of chat.completion.chunk

Additions to OpenAI's objects: `reasoning`, `reasoning_content` (the same text, for clients that
know one or the other) and `reasoning_steps` in messages and deltas; `stop_reason` in choices (the
stop text, "time_limit" or "repetition"); `reasoning_marks` in the last chunk of a choice.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from typing_extensions import TypedDict

from steiner.serving.completion import Completion
from steiner.serving.completion_options import CompletionOptions
from steiner.serving.formatting import Delta, StepObject
from steiner.serving.logprobs import ChatLogprobs, chat_logprobs
from steiner.serving.results import (
    ChoiceDelta,
    ChoiceEnding,
    ChoiceResult,
    OutputOptions,
    choice_deltas,
    choice_results,
)
from steiner.serving.schemas import ChatRequest, stop_texts
from steiner.serving.service import Service
from steiner.serving.streaming import EventStream, openapi_responses, server_sent_event
from steiner.serving.usage import ChatUsage, chat_usage

FinishReason = Literal["stop", "length"]


class ChatMessage(TypedDict):
    """The assistant's message."""

    role: Literal["assistant"]
    content: str
    reasoning: str
    reasoning_content: str
    reasoning_steps: list[StepObject]
    refusal: None


class Choice(TypedDict):
    """One of the n completions."""

    index: int
    message: ChatMessage
    logprobs: ChatLogprobs | None
    finish_reason: FinishReason
    stop_reason: str | None


class ChatCompletion(TypedDict):
    """The whole response."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage


def chat_router(service: Service) -> APIRouter:
    """The route of this endpoint."""
    router = APIRouter()

    @router.post(
        "/v1/chat/completions", response_model=None, responses=openapi_responses(ChatCompletion)
    )
    async def create_chat_completion(body: ChatRequest, request: Request) -> Response:
        """Answers the last message of a dialogue, reasoning first."""
        output = OutputOptions(stop_texts(body.stop), body.num_top_logprobs)
        completion = service.complete(_options(body))
        if body.stream:
            deltas = choice_deltas(completion, service.vocabulary, output)
            chunks = _chunks(body, service.model_name, completion, deltas)
            return EventStream(chunks, completion, service.settings.time_limit_s)
        results = await choice_results(completion, request, service.vocabulary, output)
        return JSONResponse(_chat_completion(service.model_name, completion, results))

    return router


def _options(body: ChatRequest) -> CompletionOptions:
    messages = [message.message() for message in body.messages]
    name = "max_tokens" if body.max_completion_tokens is None else "max_completion_tokens"
    return CompletionOptions.from_request(
        body,
        [messages],
        effort=body.reasoning_effort,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        max_tokens_field=name,
        num_top_logprobs=body.num_top_logprobs,
    )


# ---------------------------------------------------------------------- whole


def _chat_completion(
    model: str, completion: Completion, results: Sequence[ChoiceResult]
) -> ChatCompletion:
    endings = [result.ending for result in results]
    return ChatCompletion(
        id=f"chatcmpl-{completion.id}",
        object="chat.completion",
        created=completion.created_s,
        model=model,
        choices=[_choice(index, result) for index, result in enumerate(results)],
        usage=chat_usage(completion.num_prompt_tokens, endings),
    )


def _choice(index: int, result: ChoiceResult) -> Choice:
    message = ChatMessage(
        role="assistant",
        content=result.content,
        reasoning=result.reasoning,
        reasoning_content=result.reasoning,
        reasoning_steps=result.steps,
        refusal=None,
    )
    return Choice(
        index=index,
        message=message,
        logprobs=_logprobs(result.ending),
        finish_reason=finish_reason(result.ending),
        stop_reason=result.ending.stop_reason,
    )


def finish_reason(ending: ChoiceEnding) -> FinishReason:
    """`stop` for a complete choice; `length` if a limit or a repetition ended it."""
    return "stop" if ending.complete else "length"


def _logprobs(ending: ChoiceEnding) -> ChatLogprobs | None:
    return None if ending.logprobs is None else chat_logprobs(ending.logprobs)


# ---------------------------------------------------------------------- streamed


async def _chunks(
    body: ChatRequest, model: str, completion: Completion, deltas: AsyncIterator[ChoiceDelta]
) -> AsyncIterator[bytes]:
    """The events of a stream.

    The first delta of a choice has the role, its last chunk the finish reason, and the last chunk
    of the stream the usage, if the client asked for it.
    """
    started: set[int] = set()
    endings: list[ChoiceEnding] = []
    async for more in deltas:
        delta = _delta(more.delta)
        if more.choice not in started:
            started.add(more.choice)
            delta = {"role": "assistant"} | delta
        if delta:
            yield _chunk(model, completion, [_chunk_choice(more.choice, delta)])
        if more.ending is not None:
            endings.append(more.ending)
            yield _chunk(model, completion, [_chunk_choice(more.choice, {}, more.ending)])
    if body.stream_options and body.stream_options.include_usage:
        usage = chat_usage(completion.num_prompt_tokens, endings)
        yield _chunk(model, completion, [], usage)
    yield b"data: [DONE]\n\n"


def _delta(delta: Delta) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if delta.reasoning:
        fields |= {"reasoning": delta.reasoning, "reasoning_content": delta.reasoning}
    if delta.steps:
        fields["reasoning_steps"] = delta.steps
    if delta.content:
        fields["content"] = delta.content
    return fields


def _chunk_choice(
    index: int, delta: Mapping[str, Any], ending: ChoiceEnding | None = None
) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
    if ending is None:
        return choice
    return choice | {
        "logprobs": _logprobs(ending),
        "finish_reason": finish_reason(ending),
        "stop_reason": ending.stop_reason,
        "reasoning_marks": ending.marks,
    }


def _chunk(
    model: str,
    completion: Completion,
    choices: Sequence[Mapping[str, Any]],
    usage: ChatUsage | None = None,
) -> bytes:
    chunk = {
        "id": f"chatcmpl-{completion.id}",
        "object": "chat.completion.chunk",
        "created": completion.created_s,
        "model": model,
        "choices": choices,
    }
    return server_sent_event(chunk if usage is None else chunk | {"usage": usage})
