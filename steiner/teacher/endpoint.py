"""A teacher behind an OpenAI-compatible API: many requests at once, retries, clear errors.

TeacherRequests -> Replies

The number of requests at once adapts: one more after each round of successes, half after a 429, a
5xx or a timeout (additive increase, multiplicative decrease). A failed request is tried again after
a growing pause, or after the server's Retry-After.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from steiner.randomness import random_stream
from steiner.recipe import TeacherRecipe
from steiner.teacher.requests import Reply, TeacherRequest
from steiner.types import RunError, UserError

TRIES = 6
"""Tries of one request before it fails for good."""
FAILURES_IN_A_ROW = 20
"""Requests that fail for good, one after the other, before the run stops."""
FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_FIRST_CONCURRENT = 4
_RETRIED = frozenset({408, 409, 425, 429})


class EndpointTeacher:
    """Asks the API at `settings.url`."""

    def __init__(self, settings: TeacherRecipe) -> None:
        if not settings.url.startswith(("http://", "https://")):
            raise UserError(
                f"teacher.url is '{settings.url}'", "give a URL such as http://127.0.0.1:8000/v1"
            )
        if not settings.model:
            raise UserError("teacher.model is empty", "name the model that the endpoint serves")
        self.identity = settings.model
        self._settings = settings
        self._url = settings.url.rstrip("/") + "/chat/completions"

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
        gate = _AdaptiveGate(self._settings.max_concurrent)
        waiting = iter(enumerate(requests))
        num_failed = 0

        async def work(client: httpx.AsyncClient) -> None:
            nonlocal num_failed
            for index, request in waiting:
                reply = await self._reply(client, gate, request, may_go_on)
                if reply is None:
                    return
                num_failed = num_failed + 1 if reply.error else 0
                on_reply(index, reply)
                if num_failed >= FAILURES_IN_A_ROW:
                    raise RunError(
                        f"the teacher failed {num_failed} times in a row: {reply.error}",
                        "run the same command again when it works: answered requests are kept",
                    )

        async with httpx.AsyncClient(
            headers=headers, timeout=self._settings.timeout_s, limits=limits
        ) as client:
            count = min(self._settings.max_concurrent, len(requests))
            tasks = [asyncio.create_task(work(client)) for _ in range(count)]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _reply(
        self,
        client: httpx.AsyncClient,
        gate: _AdaptiveGate,
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
            async with gate:
                if not may_go_on():
                    return None
                outcome = await self._try(client, request)
                if isinstance(outcome, Reply):
                    gate.succeeded()
                    return outcome
                gate.failed()
            failure = outcome
        if failure.is_unreachable:
            raise RunError(
                f"cannot reach the teacher at {self._settings.url}: {failure.reason}",
                "start it, or correct teacher.url; answered requests are kept",
            )
        return Reply(error=failure.reason)

    async def _try(self, client: httpx.AsyncClient, request: TeacherRequest) -> Reply | _Failure:
        """One try. Raises UserError for a status that another try does not change."""
        try:
            response = await client.post(self._url, json=self._body(request))
        except httpx.HTTPError as error:
            is_unreachable = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            reason = f"{type(error).__name__} {error}".strip()
            return _Failure(reason, is_unreachable=is_unreachable)
        self._check(response)
        if response.status_code != 200:
            return _Failure(f"status {response.status_code}", _retry_after(response))
        return _parsed(response) or _Failure("a reply that is no chat completion")

    def _body(self, request: TeacherRequest) -> dict[str, Any]:
        return {
            "model": self._settings.model,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "temperature": request.temperature,
            "max_tokens": request.max_tokens,
            "seed": random_stream(request.digest(self.identity)).getrandbits(31),
        }

    def _check(self, response: httpx.Response) -> None:
        """Raises UserError for a status that another try does not change."""
        status = response.status_code
        if status < 400 or status in _RETRIED or status >= 500:
            return
        message = _error_message(response)
        if status in (401, 403):
            raise UserError(
                f"the teacher refuses the key, status {status}: {message}",
                f"set the environment variable {self._settings.key_variable}, or name another with "
                "teacher.key_variable",
            )
        if status == 404:
            raise UserError(
                f"the teacher has no model '{self._settings.model}' at {self._url}: {message}",
                "check teacher.model and teacher.url, which often ends in /v1",
            )
        raise UserError(
            f"the teacher refuses the request, status {status}: {message}",
            "check teacher.model and teacher.max_tokens",
        )


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why one try has no reply."""

    reason: str
    retry_after_s: float = 0.0
    """The pause that the server asks for."""
    is_unreachable: bool = False


class _AdaptiveGate:
    """Lets a number of requests run at once that adapts to how the server copes."""

    def __init__(self, most: int) -> None:
        self._most, self._limit, self._running = most, float(min(_FIRST_CONCURRENT, most)), 0
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._running < int(self._limit))
            self._running += 1

    async def __aexit__(self, *_: object) -> None:
        async with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def succeeded(self) -> None:
        self._limit = min(self._most, self._limit + 1 / self._limit)

    def failed(self) -> None:
        self._limit = max(1.0, self._limit / 2)


def _parsed(response: httpx.Response) -> Reply | None:
    """The reply in a chat completion; None if it is none."""
    try:
        body = response.json()
        text = body["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    if not isinstance(text, str):
        return None
    usage: Mapping[str, Any] = body.get("usage") or {}
    return Reply(text, _count(usage, "prompt_tokens"), _count(usage, "completion_tokens"))


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) else 0


def _error_message(response: httpx.Response) -> str:
    try:
        error = response.json()["error"]
        text = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        text = response.text
    return (str(text).strip().splitlines() or ["no message"])[0][:200]


def _retry_after(response: httpx.Response) -> float:
    try:
        return float(response.headers.get("retry-after", 0))
    except ValueError:
        return 0.0
