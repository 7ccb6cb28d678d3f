"""Requests to a teacher and its replies, and the protocol of what answers them.

TeacherRequest -> Reply
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from steiner.types import Message


@dataclass(frozen=True, slots=True)
class TeacherRequest:
    """One reply to draw. `sample` tells apart requests that are otherwise equal."""

    messages: tuple[Message, ...]
    temperature: float
    max_tokens: int
    sample: int = 0

    def digest(self, teacher: str) -> str:
        """Identity of the request to that teacher, for the cache."""
        text = json.dumps([teacher, asdict(self)], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """The teacher's text; `error` says why there is none. Failed replies may have tokens too."""

    text: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    error: str = ""
    cut: bool = False
    """max_tokens ran out before the end of the text."""


class Teacher(Protocol):
    """Answers requests. Replies that failed for good have an error; the others go on."""

    identity: str
    """Names the model, by its content if it can: replies are cached under it."""

    def replies(
        self,
        requests: Sequence[TeacherRequest],
        on_reply: Callable[[int, Reply], None],
        may_go_on: Callable[[], bool],
    ) -> None:
        """Calls `on_reply(index, reply)` for each request, in any order. Asks no more once
        `may_go_on()` is False. Raises SteinerError if the teacher cannot be used at all."""
