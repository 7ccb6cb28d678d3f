"""Chat completions: the body of a request, and the reply in a response.

TeacherRequest -> JSON; status, JSON -> Reply

endpoint.py sends and gets them over HTTP, batch.py in files. A request that the server refuses,
such as a prompt that is too long or filtered, fails alone; the run stops only if many fail in a
row.
"""

from __future__ import annotations

import json
from collections.abc import Set
from itertools import count
from typing import Any

from steiner.progress import say
from steiner.randomness import random_stream
from steiner.recipe import TeacherRecipe
from steiner.teacher.requests import Reply, TeacherRequest
from steiner.types import RunError, SteinerError, UserError

FAILURES_IN_A_ROW = 20
"""Requests that fail for good, one after the other in the order of the requests, before the run
stops. The order in time would not do: few failures end last, because they are tried so often."""
_REFUSAL = "the request is refused"
_NO_TEXT = "a reply without text"
_AN_ERROR = "an error in the place of a response"
_RETRIED = frozenset({408, 409, 425, 429})
_REFUSED = frozenset({400, 413, 422})
"""What is wrong with such a request may be its own text: it fails alone."""


def identity_of(model: str, settings: TeacherRecipe) -> str:
    """Names the model and the extra fields of each request."""
    return model + (json.dumps(dict(settings.extra), sort_keys=True) if settings.extra else "")


def request_body(request: TeacherRequest, settings: TeacherRecipe, identity: str) -> dict[str, Any]:
    """The body; its seed follows from the request, so it is the same in each run."""
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "temperature": request.temperature,
        settings.token_field: request.max_tokens,
        "seed": random_stream(request.digest(identity)).getrandbits(31),
    }
    for name in settings.omit:
        body.pop(name, None)
    return body | dict(settings.extra)


class ResponseReader:
    """Reads the responses of one teacher, and shows the first message of each kind of error."""

    def __init__(self, settings: TeacherRecipe, place: str, key: str) -> None:
        """`place` says where the model is, and `key` which key of the recipe leads there."""
        self._settings, self._place, self._key = settings, place, key
        self._first_messages: dict[int | None, str] = {}
        """Status of a refusal -> the first message that came with it; None: no status."""

    def reply(self, status: int, body: object) -> Reply | str:
        """The reply, which has an error if another try does not change it; else why there is none.

        `body` is JSON, or text if it is none. Raises UserError if the key, the model or the place
        is wrong.
        """
        if status in _REFUSED:
            return self._refused(status, error_message(body))
        self._check(status, error_message(body))
        if status != 200:
            return f"status {status}"
        return reply_in(body) or "a reply that is no chat completion"

    def error_entry(self, body: object) -> str:
        """Why there is no reply if an error is in its place. The first message is shown."""
        if None not in self._first_messages:
            self._first_messages[None] = error_message(body)
            say(f"teacher    {_AN_ERROR}: {self._first_messages[None]}")
        return _AN_ERROR

    def all_fail(self, reason: str) -> SteinerError:
        """The error of a run whose requests fail one after the other."""
        message = f"the teacher failed {FAILURES_IN_A_ROW} times in a row: {reason}"
        if reason.startswith(_REFUSAL):
            hint = "check teacher.max_tokens, teacher.token_field, teacher.omit and teacher.extra"
            status = int(reason.rpartition(" ")[2])
            return UserError(f"{message}: {self._first_messages[status]}", hint)
        if reason == _NO_TEXT:
            return UserError(message, "a model that reasons first needs more teacher.max_tokens")
        hint = "run the same command again when it works: answered requests are kept"
        return RunError(message, hint)

    def _refused(self, status: int, message: str) -> Reply:
        """The reply to a refused request. The first message of each status is shown; the later
        ones, which may name the length of each prompt, are counted."""
        if status not in self._first_messages:
            self._first_messages[status] = message
            say(f"teacher    refuses a request, status {status}: {message}")
        return Reply(error=f"{_REFUSAL}, status {status}")

    def _check(self, status: int, message: str) -> None:
        """Raises UserError for a status that another try does not change."""
        if status < 400 or status in _RETRIED or status >= 500:
            return
        if status in (401, 403):
            raise UserError(
                f"the teacher refuses the key, status {status}: {message}",
                f"set the environment variable {self._settings.key_variable}, or name another with "
                "teacher.key_variable",
            )
        if status == 404:
            raise UserError(
                f"the teacher has no model '{self._settings.model}' {self._place}: {message}",
                f"check teacher.model and {self._key}",
            )
        raise UserError(
            f"the teacher does not answer, status {status}: {message}",
            f"check teacher.model and {self._key}; answered requests are kept",
        )


def length_of_row(places: Set[int], place: int) -> int:
    """The number of `places` in one row with `place`, itself included."""
    after = next(n for n in count(place) if n not in places)
    before = next(n for n in count(place, -1) if n not in places)
    return after - before - 1


def reply_in(body: object) -> Reply | None:
    """The reply in a chat completion; None if it is none."""
    fields: Any = body
    try:
        choice = fields["choices"][0]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return None
    if text is not None and not isinstance(text, str):
        return None
    usage = fields.get("usage")
    return Reply(
        text or "",
        _count(usage, "prompt_tokens"),
        _count(usage, "completion_tokens"),
        error="" if text else _NO_TEXT,
        cut=choice.get("finish_reason") == "length",
    )


def _count(usage: object, name: str) -> int:
    value = usage.get(name) if isinstance(usage, dict) else None
    return value if isinstance(value, int) else 0


def error_message(body: object) -> str:
    """The first line of an error's message: `{"error": {"message": TEXT}}`, a part of it, or
    text."""
    while isinstance(body, dict):
        body = body.get("error") or body.get("message") or ""
    return (str(body).strip().splitlines() or ["no message"])[0][:200]
