"""POST /v1/chat/completions, as OpenAI has it, with the reasoning beside the content.

ChatBody -> chat.completion, or a stream of chat.completion.chunk

Extra fields: `min_steps`, `max_steps` in the request; `reasoning`, `reasoning_content` (the same
text, for clients that know one or the other) and `reasoning_steps` in messages and deltas;
`stop_reason` in choices: the stop text that ended the answer, or "time_limit".
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from typing_extensions import TypedDict

from steiner.serving.completion import Completion
from steiner.serving.formatting import Delta, StepObject
from steiner.serving.results import Account, Ending, Saying, accounts, sayings
from steiner.serving.schemas import ChatBody
from steiner.serving.service import Ask, Service
from steiner.serving.streaming import EventStream, described, event
from steiner.serving.usage import ChatUsage, chat_usage

FinishReason = Literal["stop", "length"]


class ChatMessage(TypedDict):
    """The assistant's turn."""

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
    logprobs: None
    finish_reason: FinishReason
    stop_reason: str | None


class ChatCompletion(TypedDict):
    """The whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage


def chat_router(service: Service) -> APIRouter:
    """The path of this API."""
    router = APIRouter()

    @router.post("/v1/chat/completions", response_model=None, responses=described(ChatCompletion))
    async def create_chat_completion(body: ChatBody, request: Request) -> Response:
        """Reasons about the last turn of a dialogue and answers it."""
        completion = service.complete(_ask(body))
        if body.stream:
            told = sayings(completion, service.vocabulary, body.stops)
            chunks = _chunks(body, completion, told)
            return EventStream(chunks, completion, service.settings.time_limit_s)
        accounted = await accounts(completion, request, service.vocabulary, body.stops)
        return JSONResponse(_whole(body, completion, accounted))

    return router


def _ask(body: ChatBody) -> Ask:
    return Ask(
        model=body.model,
        messages=[turn.message() for turn in body.messages],
        live=bool(body.stream),
        num_choices=body.n or 1,
        effort=body.reasoning_effort,
        min_steps=body.min_steps,
        max_steps=body.max_steps,
        max_tokens=body.max_completion_tokens or body.max_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        seed=body.seed,
    )


# ---------------------------------------------------------------------- all at once


def _whole(body: ChatBody, completion: Completion, told: Sequence[Account]) -> ChatCompletion:
    return ChatCompletion(
        id=f"chatcmpl-{completion.id}",
        object="chat.completion",
        created=completion.created_s,
        model=body.model,
        choices=[_choice(index, account) for index, account in enumerate(told)],
        usage=chat_usage([account.ending for account in told]),
    )


def _choice(index: int, account: Account) -> Choice:
    message = ChatMessage(
        role="assistant",
        content=account.content,
        reasoning=account.reasoning,
        reasoning_content=account.reasoning,
        reasoning_steps=account.steps,
        refusal=None,
    )
    return Choice(
        index=index,
        message=message,
        logprobs=None,
        finish_reason=_finish_reason(account.ending),
        stop_reason=account.ending.stop_reason,
    )


def _finish_reason(ending: Ending) -> FinishReason:
    return "stop" if ending.whole else "length"


# ---------------------------------------------------------------------- bit by bit


async def _chunks(
    body: ChatBody, completion: Completion, told: AsyncIterator[Saying]
) -> AsyncIterator[bytes]:
    """The events of a stream: the role with the first delta of a choice, its finish reason in a
    chunk of its own, the usage at the very end if asked for."""
    begun: set[int] = set()
    endings: list[Ending] = []
    async for saying in told:
        delta = _delta(saying.delta)
        if saying.choice not in begun:
            begun.add(saying.choice)
            delta = {"role": "assistant"} | delta
        if delta:
            yield _chunk(body, completion, [_part(saying.choice, delta)])
        if saying.ending is not None:
            endings.append(saying.ending)
            yield _chunk(body, completion, [_part(saying.choice, {}, saying.ending)])
    if body.stream_options and body.stream_options.include_usage:
        yield _chunk(body, completion, [], chat_usage(endings))
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


def _part(index: int, delta: Mapping[str, Any], ending: Ending | None = None) -> dict[str, Any]:
    part = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
    if ending is not None:
        part |= {"finish_reason": _finish_reason(ending), "stop_reason": ending.stop_reason}
    return part


def _chunk(
    body: ChatBody,
    completion: Completion,
    choices: Sequence[Mapping[str, Any]],
    usage: ChatUsage | None = None,
) -> bytes:
    chunk = {
        "id": f"chatcmpl-{completion.id}",
        "object": "chat.completion.chunk",
        "created": completion.created_s,
        "model": body.model,
        "choices": choices,
    }
    return event(chunk if usage is None else chunk | {"usage": usage})
