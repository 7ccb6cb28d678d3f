"""A teacher behind an OpenAI-compatible API: many requests at once, retries, clear errors.

TeacherRequests -> Replies

The number of requests at once adapts: one more after each round of successes, half after a 429, a
5xx or a timeout (additive increase, multiplicative decrease). The teacher keeps this number from
one block of requests to the next. A failed request is tried again after a growing pause, or after
the server's Retry-After. A request that the server refuses, such as a prompt that is too long or
filtered, fails alone; the run stops only if many fail in a row.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx

from steiner.progress import say
from steiner.randomness import random_stream
from steiner.recipe import TeacherRecipe
from steiner.teacher.requests import Reply, TeacherRequest
from steiner.types import RunError, SteinerError, UserError

TRIES = 6
"""Tries of one request before it fails for good."""
FAILURES_IN_A_ROW = 20
"""Requests that fail for good, one after the other in the order of the requests, before the run
stops. The order in time would not do: few failures end last, because they are tried so often."""
_REFUSAL = "the request is refused"
_NO_TEXT = "a reply without text"
FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_FIRST_CONCURRENT = 4
_RETRIED = frozenset({408, 409, 425, 429})
_REFUSED = frozenset({400, 413, 422})
"""What is wrong with such a request may be its own text: it fails alone."""


class EndpointTeacher:
    """Asks the API at `settings.url`."""

    def __init__(self, settings: TeacherRecipe) -> None:
        if not settings.url.startswith(("http://", "https://")):
            raise UserError(
                f"teacher.url is '{settings.url}'", "give a URL such as http://127.0.0.1:8000/v1"
            )
        if not settings.model:
            raise UserError("teacher.model is empty", "name the model that the endpoint serves")
        extra = json.dumps(dict(settings.extra), sort_keys=True) if settings.extra else ""
        self.identity = settings.model + extra
        self._settings = settings
        self._limit = _AdaptiveLimit(settings.max_concurrent)
        self._refusals: dict[int, str] = {}
        """Status -> the first message that came with it."""
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
                    if _length_of_row(failed, index) >= FAILURES_IN_A_ROW:
                        raise self._all_fail(reply.error)

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
        try:
            response = await client.post(self._url, json=self._body(request))
        except httpx.HTTPError as error:
            is_unreachable = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            reason = f"{type(error).__name__} {error}".strip()
            return _Failure(reason, is_unreachable=is_unreachable)
        status = response.status_code
        if status in _REFUSED:
            return self._refused(response)
        self._check(response)
        if status != 200:
            return _Failure(f"status {status}", _retry_after(response))
        return _parsed(response) or _Failure("a reply that is no chat completion")

    def _refused(self, response: httpx.Response) -> Reply:
        """The reply to a refused request. The first message of each status is shown; the later
        ones, which may name the length of each prompt, are counted."""
        status, message = response.status_code, _error_message(response)
        if status not in self._refusals:
            self._refusals[status] = message
            say(f"teacher    refuses a request, status {status}: {message}")
        return Reply(error=f"{_REFUSAL}, status {status}")

    def _all_fail(self, reason: str) -> SteinerError:
        """The error of a run whose requests fail one after the other."""
        message = f"the teacher failed {FAILURES_IN_A_ROW} times in a row: {reason}"
        if reason.startswith(_REFUSAL):
            hint = "check teacher.max_tokens, teacher.token_field, teacher.omit and teacher.extra"
            return UserError(f"{message}: {next(iter(self._refusals.values()))}", hint)
        if reason == _NO_TEXT:
            return UserError(message, "a model that reasons first needs more teacher.max_tokens")
        hint = "run the same command again when it works: answered requests are kept"
        return RunError(message, hint)

    def _body(self, request: TeacherRequest) -> dict[str, Any]:
        settings = self._settings
        body: dict[str, Any] = {
            "model": settings.model,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "temperature": request.temperature,
            settings.token_field: request.max_tokens,
            "seed": random_stream(request.digest(self.identity)).getrandbits(31),
        }
        for name in settings.omit:
            body.pop(name, None)
        return body | dict(settings.extra)

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
            f"the teacher does not answer, status {status}: {message}",
            "check teacher.model and teacher.url; answered requests are kept",
        )


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


def _length_of_row(places: Set[int], place: int) -> int:
    """The number of `places` in one row with `place`, itself included."""
    after = next(n for n in count(place) if n not in places)
    before = next(n for n in count(place, -1) if n not in places)
    return after - before - 1


def _parsed(response: httpx.Response) -> Reply | None:
    """The reply in a chat completion; None if it is none."""
    try:
        body = response.json()
        choice = body["choices"][0]
        text = choice["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        return None
    if text is not None and not isinstance(text, str):
        return None
    usage: Mapping[str, Any] = body.get("usage") or {}
    return Reply(
        text or "",
        _count(usage, "prompt_tokens"),
        _count(usage, "completion_tokens"),
        error="" if text else _NO_TEXT,
        cut=choice.get("finish_reason") == "length",
    )


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
