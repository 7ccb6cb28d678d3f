"""POST /v1/responses, as OpenAI has it: reasoning with a summary of each step, then a message.

ResponsesBody -> response, or a stream of its events

Nothing is stored, so a client sends the whole dialogue each time. Extra fields: `min_steps`,
`max_steps` and `n` (as many pairs of items) in the request; `reasoning_steps` in reasoning items,
and `reasoning_step` in the event that ends the summary of a step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from steiner.serving.completion import Completion
from steiner.serving.response_events import response_events
from steiner.serving.response_objects import (
    Item,
    ResponseObject,
    message_item,
    reasoning_item,
    response_object,
    status_of,
)
from steiner.serving.results import Account, accounts, sayings
from steiner.serving.schemas import ResponsesBody
from steiner.serving.service import Ask, Service
from steiner.serving.streaming import EventStream, described


def responses_router(service: Service) -> APIRouter:
    """The path of this API."""
    router = APIRouter()

    @router.post("/v1/responses", response_model=None, responses=described(ResponseObject))
    async def create_response(body: ResponsesBody, request: Request) -> Response:
        """Reasons about the last turn of a dialogue and answers it."""
        completion = service.complete(_ask(body))
        if body.stream:
            events = response_events(body, completion, sayings(completion, service.vocabulary))
            return EventStream(events, completion, service.settings.time_limit_s)
        told = await accounts(completion, request, service.vocabulary)
        return JSONResponse(_whole(body, completion, told))

    return router


def _ask(body: ResponsesBody) -> Ask:
    return Ask(
        model=body.model,
        messages=body.messages(),
        live=bool(body.stream),
        num_choices=body.n or 1,
        effort=body.effort,
        min_steps=body.min_steps,
        max_steps=body.max_steps,
        max_tokens=body.max_output_tokens,
        temperature=body.temperature,
        top_p=body.top_p,
        seed=body.seed,
    )


def _whole(body: ResponsesBody, completion: Completion, told: Sequence[Account]) -> ResponseObject:
    items = [
        item
        for index, account in enumerate(told)
        for item in _items(f"{completion.id}{index}", account)
    ]
    return response_object(body, completion, items, [account.ending for account in told])


def _items(id: str, account: Account) -> Iterator[Item]:
    """The reasoning, and the message unless a limit came before its first word."""
    status = status_of(account.ending)
    reasoned = "completed" if account.content else status
    yield reasoning_item(f"rs_{id}", reasoned, account.reasoning, account.steps)
    if account.content or account.ending.whole:
        yield message_item(f"msg_{id}", status, account.content)
