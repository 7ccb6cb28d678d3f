"""POST /v1/completions: OpenAI's older API, for clients that know no chat.

TextRequest -> text_completion, or a stream of them

Each prompt is one question of the user, so the chat template is applied. `text` is the answer;
`reasoning` and `stop_reason` are additions to OpenAI's choices.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from typing_extensions import TypedDict

from steiner.serving.chat_completions import FinishReason, finish_reason
from steiner.serving.completion import Completion
from steiner.serving.completion_options import CompletionOptions
from steiner.serving.logprobs import TextLogprobs, text_logprobs
from steiner.serving.results import (
    ChoiceDelta,
    ChoiceEnding,
    ChoiceResult,
    OutputOptions,
    choice_deltas,
    choice_results,
)
from steiner.serving.schemas import TextRequest, stop_texts
from steiner.serving.service import Service
from steiner.serving.streaming import EventStream, openapi_responses, server_sent_event
from steiner.serving.usage import ChatUsage, chat_usage
from steiner.types import Message


class TextChoice(TypedDict):
    """One of the n completions of one of the prompts."""

    index: int
    text: str
    reasoning: str
    logprobs: TextLogprobs | None
    finish_reason: FinishReason | None
    stop_reason: str | None


class TextCompletion(TypedDict):
    """The whole response."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[TextChoice]
    usage: ChatUsage


def text_router(service: Service) -> APIRouter:
    """The route of this endpoint."""
    router = APIRouter()

    @router.post(
        "/v1/completions", response_model=None, responses=openapi_responses(TextCompletion)
    )
    async def create_completion(body: TextRequest, request: Request) -> Response:
        """Answers one or several prompts, reasoning first."""
        output = OutputOptions(stop_texts(body.stop), body.logprobs)
        completion = service.complete(_options(body))
        if body.stream:
            deltas = choice_deltas(completion, service.vocabulary, output)
            chunks = _chunks(body, service.model_name, completion, deltas)
            return EventStream(chunks, completion, service.settings.time_limit_s)
        results = await choice_results(completion, request, service.vocabulary, output)
        return JSONResponse(_text_completion(service.model_name, completion, results))

    return router


def _options(body: TextRequest) -> CompletionOptions:
    return CompletionOptions.from_request(
        body,
        [[Message("user", prompt)] for prompt in body.prompts],
        effort=body.reasoning_effort,
        max_tokens=body.max_tokens,
        max_tokens_field="max_tokens",
        num_top_logprobs=body.logprobs,
    )


def _text_completion(
    model: str, completion: Completion, results: Sequence[ChoiceResult]
) -> dict[str, Any]:
    choices = [
        _choice(index, result.content, result.reasoning, result.ending)
        for index, result in enumerate(results)
    ]
    endings = [result.ending for result in results]
    return _object(model, completion, choices) | {
        "usage": chat_usage(completion.num_prompt_tokens, endings)
    }


async def _chunks(
    body: TextRequest, model: str, completion: Completion, deltas: AsyncIterator[ChoiceDelta]
) -> AsyncIterator[bytes]:
    endings: list[ChoiceEnding] = []
    async for more in deltas:
        choice = _choice(more.choice, more.delta.content, more.delta.reasoning, more.ending)
        yield server_sent_event(_object(model, completion, [choice]))
        if more.ending is not None:
            endings.append(more.ending)
    if body.stream_options and body.stream_options.include_usage:
        usage = chat_usage(completion.num_prompt_tokens, endings)
        yield server_sent_event(_object(model, completion, []) | {"usage": usage})
    yield b"data: [DONE]\n\n"


def _choice(index: int, text: str, reasoning: str, ending: ChoiceEnding | None) -> TextChoice:
    logprobs = None if ending is None else ending.logprobs
    return TextChoice(
        index=index,
        text=text,
        reasoning=reasoning,
        logprobs=None if logprobs is None else text_logprobs(logprobs),
        finish_reason=None if ending is None else finish_reason(ending),
        stop_reason=None if ending is None else ending.stop_reason,
    )


def _object(
    model: str, completion: Completion, choices: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    return {
        "id": f"cmpl-{completion.id}",
        "object": "text_completion",
        "created": completion.created_s,
        "model": model,
        "choices": choices,
    }
