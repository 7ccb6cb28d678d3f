"""POST /v1/responses: OpenAI's API; reasoning with a summary of each step, then a message.

ResponseRequest -> response, or a stream of its events

Nothing is stored, so a client sends the whole dialogue each time. Additions to OpenAI's API:
`min_steps`, `max_steps` and `n` (as many pairs of items) in the request; `reasoning_steps` in
reasoning items, and `reasoning_step` in the event that ends the summary of a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from steiner.serving.completion import Completion
from steiner.serving.completion_options import CompletionOptions
from steiner.serving.response_events import response_events
from steiner.serving.response_objects import (
    OutputItem,
    ResponseObject,
    message_item,
    reasoning_item,
    response_object,
    status_of,
)
from steiner.serving.results import ChoiceResult, OutputOptions, choice_deltas, choice_results
from steiner.serving.schemas import ResponseRequest
from steiner.serving.service import Service
from steiner.serving.streaming import EventStream, openapi_responses


def responses_router(service: Service) -> APIRouter:
    """The route of this endpoint."""
    router = APIRouter()

    @router.post("/v1/responses", response_model=None, responses=openapi_responses(ResponseObject))
    async def create_response(body: ResponseRequest, request: Request) -> Response:
        """Answers the last message of a dialogue, reasoning first."""
        output = OutputOptions(num_top_logprobs=body.num_top_logprobs)
        completion = service.complete(_options(body))
        body = body.model_copy(update={"model": service.model_name})
        if body.stream:
            deltas = choice_deltas(completion, service.vocabulary, output)
            events = response_events(body, completion, deltas)
            return EventStream(events, completion, service.settings.time_limit_s)
        results = await choice_results(completion, request, service.vocabulary, output)
        return JSONResponse(_response(body, completion, results))

    return router


def _options(body: ResponseRequest) -> CompletionOptions:
    return CompletionOptions.from_request(
        body,
        [body.messages()],
        effort=body.effort,
        max_tokens=body.max_output_tokens,
        max_tokens_field="max_output_tokens",
        num_top_logprobs=body.num_top_logprobs,
    )


def _response(
    body: ResponseRequest, completion: Completion, results: Sequence[ChoiceResult]
) -> ResponseObject:
    items = [
        item
        for index, result in enumerate(results)
        for item in _items(f"{completion.id}{index}", result)
    ]
    return response_object(body, completion, items, [result.ending for result in results])


def _items(id: str, result: ChoiceResult) -> Iterator[OutputItem]:
    """The reasoning, and the message unless a limit ended the choice before its first word."""
    status = status_of(result.ending)
    reasoning_status = "completed" if result.content else status
    yield reasoning_item(f"rs_{id}", reasoning_status, result.reasoning, result.steps)
    if result.content or result.ending.complete:
        yield message_item(f"msg_{id}", status, result.content, result.ending.logprobs)
