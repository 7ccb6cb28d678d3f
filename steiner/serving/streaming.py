"""Streaming responses that stop decoding when the client disconnects.

Completion -> all rollouts, or server-sent events while decoding
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from steiner.serving.completion import Completion
from steiner.serving.errors import RESPONSES, api_error
from steiner.types import Rollout

_SLOW_READER_S = 30.0
"""How much longer than the time limit a stream may take before its connection is closed."""


async def all_rollouts(completion: Completion, request: Request) -> list[Rollout]:
    """The rollouts of a completion. A client that disconnects cancels it."""
    watch = asyncio.create_task(_cancel_on_disconnect(completion, request))
    try:
        return await completion.rollouts()
    finally:
        watch.cancel()
        completion.cancel()


async def _cancel_on_disconnect(completion: Completion, request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    completion.cancel()


def server_sent_event(data: Mapping[str, Any], name: str = "") -> bytes:
    """One server-sent event; in ASCII, because some clients also end a line at U+2028."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


class EventStream(StreamingResponse):
    """A stream of events that cancels its completion when the connection ends.

    Replaces `__call__`, so that a client that reads nothing is disconnected, too. An error becomes
    the last event.
    """

    media_type = "text/event-stream"

    def __init__(
        self, events: AsyncIterator[bytes], completion: Completion, limit_s: float
    ) -> None:
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__(_with_error(events), headers=headers)
        self._completion, self._limit_s = completion, limit_s + _SLOW_READER_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the events."""
        try:
            async with asyncio.timeout(self._limit_s):
                await super().__call__(scope, receive, send)
        finally:
            self._completion.cancel()


async def _with_error(events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for event in events:
            yield event
    except Exception as error:
        yield server_sent_event(api_error(error).body())


def openapi_responses(model: type) -> dict[int | str, dict[str, Any]]:
    """The responses of an endpoint for the OpenAPI schema: whole, streamed, and the errors."""
    return {
        200: {"model": model, "content": {EventStream.media_type: {"itemSchema": _EVENT}}},
        **RESPONSES,
    }


_EVENT = {
    "type": "object",
    "properties": {"data": {"type": "string"}, "event": {"type": "string"}},
    "required": ["data"],
}
