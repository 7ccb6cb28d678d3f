"""A teacher behind an OpenAI-compatible API: many requests at once, retries, clear errors.

TeacherRequests -> Replies

The number of requests at once adapts: one more after each round of successes, half after a 429, a
5xx or a timeout (additive increase, multiplicative decrease). The teacher keeps this number from
one block of requests to the next. A failed request is tried again after a growing pause, or after
the server's Retry-After.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from steiner.randomness import random_stream
from steiner.recipe import TeacherRecipe
from steiner.teacher.chat_completions import (
    FAILURES_IN_A_ROW,
    ResponseReader,
    identity_of,
    length_of_row,
    request_body,
)
from steiner.teacher.requests import Reply, TeacherRequest
from steiner.types import RunError, UserError

TRIES = 6
"""Tries of one request before it fails for good."""
FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_FIRST_CONCURRENT = 4


class EndpointTeacher:
    """Asks the API at `settings.url`."""

    def __init__(self, settings: TeacherRecipe) -> None:
        if not settings.url.startswith(("http://", "https://")):
            raise UserError(
                f"teacher.url is '{settings.url}'", "give a URL such as http://127.0.0.1:8000/v1"
            )
        if not settings.model:
            raise UserError("teacher.model is empty", "name the model that the endpoint serves")
        self.identity = identity_of(settings.model, settings)
        self._settings = settings
        self._limit = _AdaptiveLimit(settings.max_concurrent)
        self._url = settings.url.rstrip("/") + "/chat/completions"
        key = "teacher.url, which often ends in /v1"
        self._reader = ResponseReader(settings, f"at {self._url}", key)

    def replies(
        self,
        requests: Sequence[TeacherRequest],
        on_reply: Callable[[int, Reply], None],
        may_go_on: Callable[[], bool],
    ) -> None:
        """Raises UserError for a wrong key, model or URL, RunError if the endpoint is down."""
        asyncio.run(self._all(requests, on_reply, may_go_on))

    async def _all(
        self,
        requests: Sequence[TeacherRequest],
        on_reply: Callable[[int, Reply], None],
        may_go_on: Callable[[], bool],
    ) -> None:
        key = os.environ.get(self._settings.key_variable, "")
        headers = {"authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Limits(max_connections=self._settings.max_concurrent)
        gate = _Gate(self._limit)
        waiting = iter(enumerate(requests))
        failed: set[int] = set()

        async def work(client: httpx.AsyncClient) -> None:
            for index, request in waiting:
                reply = await self._reply(client, gate, request, may_go_on)
                if reply is None:
                    return
                on_reply(index, reply)
                if reply.error:
                    failed.add(index)
                    if length_of_row(failed, index) >= FAILURES_IN_A_ROW:
                        raise self._reader.all_fail(reply.error)

        async with httpx.AsyncClient(
            headers=headers, timeout=self._settings.timeout_s, limits=limits
        ) as client:
            num_tasks = min(self._settings.max_concurrent, len(requests))
            tasks = [asyncio.create_task(work(client)) for _ in range(num_tasks)]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _reply(
        self,
        client: httpx.AsyncClient,
        gate: _Gate,
        request: TeacherRequest,
        may_go_on: Callable[[], bool],
    ) -> Reply | None:
        """The reply, after several tries; None if no more may be asked."""
        rng = random_stream("retry", request.digest(self.identity))
        pause, failure = FIRST_PAUSE_S, _Failure("")
        for attempt in range(TRIES):
            if attempt:
                wait = max(pause * (0.5 + rng.random()), failure.retry_after_s)
                await asyncio.sleep(min(wait, _LONGEST_PAUSE_S))
                pause *= 2
            async with gate as decreases:
                if not may_go_on():
                    return None
                outcome = await self._try(client, request)
                if isinstance(outcome, Reply):
                    self._limit.succeeded()
                    return outcome
                self._limit.failed(decreases)
            failure = outcome
        if failure.is_unreachable:
            raise RunError(
                f"cannot reach the teacher at {self._settings.url}: {failure.reason}",
                "start it, or correct teacher.url; answered requests are kept",
            )
        return Reply(error=failure.reason)

    async def _try(self, client: httpx.AsyncClient, request: TeacherRequest) -> Reply | _Failure:
        """One try; its reply has an error if another try does not change it. Raises UserError if
        the key, the model or the URL is wrong."""
        body = request_body(request, self._settings, self.identity)
        try:
            response = await client.post(self._url, json=body)
        except httpx.HTTPError as error:
            is_unreachable = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            reason = f"{type(error).__name__} {error}".strip()
            return _Failure(reason, is_unreachable=is_unreachable)
        outcome = self._reader.reply(response.status_code, _content(response))
        return outcome if isinstance(outcome, Reply) else _Failure(outcome, _retry_after(response))


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why one try has no reply."""

    reason: str
    retry_after_s: float = 0.0
    """The pause that the server asks for."""
    is_unreachable: bool = False


class _AdaptiveLimit:
    """The number of requests that may run at once; it adapts to the server."""

    def __init__(self, most: int) -> None:
        self._most, self.value = most, float(min(_FIRST_CONCURRENT, most))
        self.decreases = 0

    def succeeded(self) -> None:
        """One more after as many successes as run at once."""
        self.value = min(self._most, self.value + 1 / self.value)

    def failed(self, decreases: int) -> None:
        """Half. `decreases` is their number when the request was sent: of the requests that fail
        together, only the first counts."""
        if decreases == self.decreases:
            self.value = max(1.0, self.value / 2)
            self.decreases += 1


class _Gate:
    """Lets as many requests run at once as the limit says; for one event loop."""

    def __init__(self, limit: _AdaptiveLimit) -> None:
        self._limit, self._running = limit, 0
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> int:
        """The number of decreases so far, for `_AdaptiveLimit.failed`."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._running < int(self._limit.value))
            self._running += 1
            return self._limit.decreases

    async def __aexit__(self, *_: object) -> None:
        async with self._changed:
            self._running -= 1
            self._changed.notify_all()


def _content(response: httpx.Response) -> object:
    """JSON, or text if it is none."""
    try:
        return response.json()
    except ValueError:
        return response.text


def _retry_after(response: httpx.Response) -> float:
    try:
        return float(response.headers.get("retry-after", 0))
    except ValueError:
        return 0.0
