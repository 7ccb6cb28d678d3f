"""ASGI middleware: authentication, content type, body size and timeout limits, draining, metrics.

ASGI app -> ASGI app

Plain ASGI rather than the framework's middleware class, which costs a task and two queues per
request.
"""

from __future__ import annotations

import asyncio
import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.types import Message as AsgiMessage

from steiner.serving.errors import ApiError, Unauthorized
from steiner.serving.service import Service
from steiner.serving.settings import Settings

_API = "/v1/"
_JSON = "application/json"
_READ_TO_REFUSE = 16
"""How many times the longest allowed body is read and dropped before the connection is closed."""


class RequestMiddleware:
    """Checks every request before the app gets it; paths under /v1/ need the key."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, counting_send = Headers(scope=scope), self._counting(scope, send)
        body = LimitedBody(receive, self._service.settings)
        try:
            await body.check_length(headers.get("content-length", ""))
            self._check(scope, headers)
        except ApiError as error:
            await error.response()(scope, receive, counting_send)
        else:
            await self._app(scope, body.receive, counting_send)

    def _check(self, scope: Scope, headers: Headers) -> None:
        if not scope["path"].startswith(_API):
            return
        self._check_key(headers.get("authorization", ""))
        self._service.check_open()
        if scope["method"] == "POST":
            _check_content_type(headers.get("content-type", ""))

    def _check_key(self, authorization: str) -> None:
        key = self._service.settings.api_key
        sent = authorization.encode("latin-1")  # the bytes of the header
        if key and not hmac.compare_digest(sent, f"Bearer {key}".encode()):
            raise Unauthorized("the API key is missing or wrong: send 'Authorization: Bearer KEY'")

    def _counting(self, scope: Scope, send: Send) -> Send:
        async def counting_send(message: AsgiMessage) -> None:
            if message["type"] == "http.response.start":
                path = getattr(scope.get("route"), "path", "other")
                self._service.metrics.requests.labels(path, message["status"]).inc()
            await send(message)

        return counting_send


def _check_content_type(content_type: str) -> None:
    """Refuses bodies that are not declared as JSON.

    A web page of another site can send the other types without asking the browser for permission.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != _JSON:
        sent = f"as {media_type}" if media_type else "without a content type"
        message = f"the body was sent {sent}: send JSON with the header 'Content-Type: {_JSON}'"
        raise ApiError(message, status=415)


class LimitedBody:
    """A request's body with a limit on its size and on the time that it takes."""

    def __init__(self, receive: Receive, settings: Settings) -> None:
        self._receive = receive
        self._max_bytes, self._timeout_s = settings.max_body_bytes, settings.body_timeout_s
        self._deadline = asyncio.get_running_loop().time() + self._timeout_s
        self._num_bytes = 0
        self._complete = False

    async def check_length(self, content_length: str) -> None:
        """Refuses a body whose declared length is too long.

        The body is read and dropped first: a client that still writes would not read the response.
        """
        if content_length.isdecimal() and int(content_length) > self._max_bytes:
            while not self._complete and self._num_bytes < _READ_TO_REFUSE * self._max_bytes:
                await self._next()
            raise self._too_long()

    async def receive(self) -> AsgiMessage:
        """The next message. Raises ApiError if the body is too long or too slow."""
        if self._complete:
            return await self._receive()
        message = await self._next()
        if self._num_bytes > self._max_bytes:
            raise self._too_long()
        return message

    async def _next(self) -> AsgiMessage:
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            late = f"the body did not arrive within {self._timeout_s:g} s"
            raise ApiError(late, status=408) from None
        self._num_bytes += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        return message

    def _too_long(self) -> ApiError:
        return ApiError(f"the body is longer than {self._max_bytes} bytes", status=413)
