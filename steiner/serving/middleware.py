"""What every request passes before the app sees it: key, body in time, open doors, count.

ASGI app -> ASGI app

Plain ASGI rather than the framework's middleware class, which costs a task and two queues a
request.
"""

from __future__ import annotations

import asyncio
import hmac

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from steiner.serving.errors import ApiError, Unauthorized
from steiner.serving.service import Service
from steiner.serving.settings import Settings

_API = "/v1/"
_READ_TO_REFUSE = 16
"""How many times the longest body is read, and thrown away, before a client is hung up on."""


class Gate:
    """Middleware around the app; everything under /v1/ needs the key and a server that is open."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, counted = Headers(scope=scope), self._counting(scope, send)
        body = Body(receive, self._service.settings)
        try:
            await body.check_length(headers.get("content-length", ""))
            self._admit(scope, headers)
        except ApiError as error:
            await error.response()(scope, receive, counted)
        else:
            await self._app(scope, body.receive, counted)

    def _admit(self, scope: Scope, headers: Headers) -> None:
        if scope["path"].startswith(_API):
            self._check_key(headers.get("authorization", ""))
            self._service.check_open()

    def _check_key(self, authorization: str) -> None:
        key = self._service.settings.api_key
        given = authorization.encode("latin-1")  # the bytes that were sent
        if key and not hmac.compare_digest(given, f"Bearer {key}".encode()):
            raise Unauthorized("the API key is missing or wrong: send 'Authorization: Bearer KEY'")

    def _counting(self, scope: Scope, send: Send) -> Send:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = getattr(scope.get("route"), "path", "other")
                self._service.metrics.requests.labels(path, message["status"]).inc()
            await send(message)

        return counted


class Body:
    """A request's body, which must be neither too long nor too slow."""

    def __init__(self, receive: Receive, settings: Settings) -> None:
        self._receive = receive
        self._max_bytes, self._timeout_s = settings.max_body_bytes, settings.body_timeout_s
        self._deadline = asyncio.get_running_loop().time() + self._timeout_s
        self._num_bytes = 0
        self._whole = False

    async def check_length(self, told: str) -> None:
        """Refuses a body that is too long by its own account, once it has gone by: a client that
        still writes would not read the answer."""
        if told.isdecimal() and int(told) > self._max_bytes:
            while not self._whole and self._num_bytes < _READ_TO_REFUSE * self._max_bytes:
                await self._next()
            raise self._too_long()

    async def receive(self) -> Message:
        """The next message; raises an ApiError where the body is too long or too slow."""
        if self._whole:
            return await self._receive()
        message = await self._next()
        if self._num_bytes > self._max_bytes:
            raise self._too_long()
        return message

    async def _next(self) -> Message:
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            late = f"the body did not arrive within {self._timeout_s:g} s"
            raise ApiError(late, status=408) from None
        self._num_bytes += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        return message

    def _too_long(self) -> ApiError:
        return ApiError(f"the body is longer than {self._max_bytes} bytes", status=413)
