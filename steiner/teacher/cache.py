"""Replies on disk by the content of their request, and the ledger of what they cost.

TeacherRequests, Teacher -> Replies

A killed run never asks twice: each reply is stored when it arrives. Failed requests are not stored,
so the next run asks them again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from steiner.recipe import TeacherRecipe
from steiner.teacher.requests import Reply, Teacher, TeacherRequest
from steiner.types import RunError

_TABLE = """
CREATE TABLE IF NOT EXISTS replies (
    request TEXT PRIMARY KEY, text TEXT, prompt_tokens INTEGER, completion_tokens INTEGER
)"""


@dataclass(slots=True)
class Ledger:
    """Counts of requests, tokens and money."""

    asked: int = 0
    from_cache: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    """Price of the replies that were asked now."""
    price: float = 0.0
    """Price of all replies, those from the cache included."""

    def line(self) -> str:
        """`240 asked, 30 from the cache, 2 failed; 81,020 + 20,311 tokens, cost 0.12`."""
        text = f"{self.asked:,} asked, {self.from_cache:,} from the cache, {self.failed:,} failed"
        text += f"; {self.prompt_tokens:,} + {self.completion_tokens:,} tokens"
        return text + (f", cost {self.cost:.2f}" if self.cost else "")


class CachedTeacher:
    """A teacher with a cache and a ledger."""

    def __init__(self, teacher: Teacher, settings: TeacherRecipe, file: Path) -> None:
        self.ledger = Ledger()
        self._teacher, self._settings = teacher, settings
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file
        try:
            self._database = sqlite3.connect(file, isolation_level=None, timeout=60)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute(_TABLE)
        except sqlite3.Error as error:
            raise RunError(f"cannot use the cache {file}: {error}", "delete it") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def ask(
        self, requests: Sequence[TeacherRequest], advance: Callable[[int], None]
    ) -> list[Reply]:
        """The replies, in the order of the requests; `advance` gets the number of new ones.

        Raises RunError where the cost limit is reached, after it has stored all replies.
        """
        digests = [request.digest(self._teacher.identity) for request in requests]
        replies: dict[int, Reply] = {}
        for index, digest in enumerate(digests):
            if (stored := self._stored(digest)) is not None:
                replies[index] = stored
                self.ledger.from_cache += 1
                self._count_tokens(stored)
        advance(len(replies))
        missing = [index for index in range(len(requests)) if index not in replies]

        def keep(place: int, reply: Reply) -> None:
            index = missing[place]
            replies[index] = reply
            self._record(digests[index], reply)
            advance(1)

        if missing:
            self._teacher.replies([requests[i] for i in missing], keep, self._is_affordable)
        if len(replies) < len(requests):
            raise RunError(
                f"the cost limit is reached: {self.ledger.cost:.2f} of {self._settings.max_cost:g}",
                "raise teacher.max_cost; the same command continues, and asks nothing twice",
            )
        return [replies[index] for index in range(len(requests))]

    def _count_tokens(self, reply: Reply) -> float:
        """Adds the reply's tokens to the ledger and to its price; returns its own price."""
        settings, ledger = self._settings, self.ledger
        ledger.prompt_tokens += reply.prompt_tokens
        ledger.completion_tokens += reply.completion_tokens
        price = reply.prompt_tokens * settings.price_in
        price = (price + reply.completion_tokens * settings.price_out) / 1e6
        ledger.price += price
        return price

    def _is_affordable(self) -> bool:
        limit = self._settings.max_cost
        return not limit or self.ledger.cost < limit

    def _stored(self, digest: str) -> Reply | None:
        query = "SELECT text, prompt_tokens, completion_tokens FROM replies WHERE request = ?"
        with closing(self._database.execute(query, (digest,))) as rows:
            found = rows.fetchone()
        return None if found is None else Reply(*found)

    def _record(self, digest: str, reply: Reply) -> None:
        if reply.error:
            self.ledger.failed += 1
            return
        self.ledger.asked += 1
        self.ledger.cost += self._count_tokens(reply)
        row = (digest, reply.text, reply.prompt_tokens, reply.completion_tokens)
        try:
            self._database.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?)", row)
        except sqlite3.Error as error:
            hint = "free some space, then run the same command again: it asks nothing twice"
            raise RunError(f"cannot write the cache {self._file}: {error}", hint) from error
