"""Answers on their way to a client that may go away at any time.

Completion -> JSON at once, or events as they come; its places are free as soon as nobody listens
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
"""How much longer than its time limit a stream may take before the client is hung up on."""


async def all_rollouts(completion: Completion, request: Request) -> list[Rollout]:
    """What the completion comes to. A client that leaves ends it."""
    watch = asyncio.create_task(_cancel_when_gone(completion, request))
    try:
        return await completion.rollouts()
    finally:
        watch.cancel()
        completion.cancel()


async def _cancel_when_gone(completion: Completion, request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    completion.cancel()


def event(data: Mapping[str, Any], name: str = "") -> bytes:
    """One server-sent event; in ASCII, since some clients end a line at U+2028 too."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


class EventStream(StreamingResponse):
    """Replaces `__call__` and `stream_response`, so that the completion ends with the connection,
    that a client that reads nothing is hung up on, and that an error is told as the last event."""

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
        async for sent in events:
            yield sent
    except Exception as error:
        yield event(api_error(error).body())


def described(whole: type) -> dict[int | str, dict[str, Any]]:
    """For the OpenAPI schema: the answers of a path, `whole` or as a stream of events."""
    return {
        200: {"model": whole, "content": {EventStream.media_type: {"itemSchema": _EVENT}}},
        **RESPONSES,
    }


_EVENT = {
    "type": "object",
    "properties": {"data": {"type": "string"}, "event": {"type": "string"}},
    "required": ["data"],
}
