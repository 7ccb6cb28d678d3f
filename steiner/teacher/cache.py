"""Replies on disk by the content of their request, and the ledger of what they cost.

TeacherRequests, Teacher -> Replies

A killed run never asks twice: each reply is stored when it arrives. Of failed requests only the
tokens are stored, so the next run asks them again. The cost limit counts all tokens in the file, at
the prices of the recipe, so a run that is started again does not spend the limit again.

A teacher that runs here is named by its content. Earlier versions named it by its folder; their
replies are still found as long as the folder's content is what this version first saw there.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from steiner.files import made_folder
from steiner.recipe import TeacherRecipe
from steiner.teacher.requests import Reply, Teacher, TeacherRequest
from steiner.types import RunError

_TABLES = """
CREATE TABLE IF NOT EXISTS replies (
    request TEXT PRIMARY KEY, text TEXT, prompt_tokens INTEGER, completion_tokens INTEGER
);
CREATE TABLE IF NOT EXISTS cut_replies (request TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS teachers (name TEXT PRIMARY KEY, identity TEXT);
"""
"""The text of a failed request is NULL. A reply is in cut_replies if max_tokens ran out."""


@dataclass(slots=True)
class Ledger:
    """Counts of requests, tokens and money."""

    asked: int = 0
    from_cache: int = 0
    failed: int = 0
    prompt_tokens: int = 0
    """Of all replies, those from the cache and failed ones included."""
    completion_tokens: int = 0
    cost: float = 0.0
    """Price of the replies that were asked now."""
    price: float = 0.0
    """Price of all replies, those from the cache included."""
    spent: float = 0.0
    """Price of all that the run folder's file has, those that were not used now included."""

    def line(self) -> str:
        """`240 asked, 30 from the cache, 2 failed; 81,020 + 20,311 tokens, cost 0.12`."""
        text = f"{self.asked:,} asked, {self.from_cache:,} from the cache, {self.failed:,} failed"
        text += f"; {self.prompt_tokens:,} + {self.completion_tokens:,} tokens"
        if self.spent:
            text += f", cost {self.cost:.2f}, {self.spent:.2f} since the first run"
        return text

    def counts(self) -> Counter[str]:
        """Counts for the manifest, the same whether replies are new or from the cache."""
        return Counter(
            {
                "teacher: replies": self.asked + self.from_cache,
                "teacher: prompt tokens": self.prompt_tokens,
                "teacher: completion tokens": self.completion_tokens,
            }
        )


class CachedTeacher:
    """A teacher with a cache and a ledger."""

    def __init__(self, teacher: Teacher, settings: TeacherRecipe, file: Path) -> None:
        self.ledger = Ledger()
        self._teacher, self._settings, self._file = teacher, settings, file
        self._is_new = not file.exists()
        self._opened = ExitStack()
        self._opened.enter_context(made_folder(file.parent))
        with self._clear_errors():
            self._database = sqlite3.connect(file, isolation_level=None, timeout=60)
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.executescript(_TABLES)
            self._former_identity = self._identity_before()
            self.ledger.spent = self._price(*self._tokens_so_far())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the file. A new one without a reply is removed, with the folders made for it."""
        with self._opened:
            is_unused = self._is_new and self._row("SELECT 1 FROM replies LIMIT 1") is None
            self._database.close()
            if is_unused:
                self._file.unlink()

    def ask(
        self, requests: Sequence[TeacherRequest], advance: Callable[[int], None]
    ) -> list[Reply]:
        """The replies, in the order of the requests; `advance` gets the number of new ones.

        Raises RunError where the cost limit is reached, after it has stored all replies.
        """
        replies: dict[int, Reply] = {}
        for index, request in enumerate(requests):
            if (stored := self._stored(request)) is not None:
                replies[index] = stored
                self.ledger.from_cache += 1
                self._count_tokens(stored)
        advance(len(replies))
        missing = [index for index in range(len(requests)) if index not in replies]

        def keep(place: int, reply: Reply) -> None:
            index = missing[place]
            replies[index] = reply
            self._record(requests[index], reply)
            advance(1)

        if missing:
            self._teacher.replies([requests[i] for i in missing], keep, self._is_affordable)
        if len(replies) < len(requests):
            raise RunError(
                f"the cost limit is reached: {self.ledger.spent:.2f} of "
                f"{self._settings.max_cost:g} since the first run",
                "raise teacher.max_cost; the same command continues, and asks nothing twice",
            )
        return [replies[index] for index in range(len(requests))]

    def _identity_before(self) -> str:
        """The name that earlier versions gave a teacher that runs here; empty if it may mean
        another model by now."""
        name, identity = self._settings.model, self._teacher.identity
        if self._settings.url or self._settings.batch_command:
            return ""
        insert = "INSERT OR IGNORE INTO teachers VALUES (?, ?)"
        self._database.execute(insert, (name, identity))
        known = self._row("SELECT identity FROM teachers WHERE name = ?", name)
        return name if known == (identity,) and name != identity else ""

    def _tokens_so_far(self) -> tuple[int, int]:
        query = "SELECT SUM(prompt_tokens), SUM(completion_tokens) FROM replies"
        prompt, completion = self._row(query) or (0, 0)
        return prompt or 0, completion or 0

    def _price(self, prompt_tokens: int, completion_tokens: int) -> float:
        settings = self._settings
        return (prompt_tokens * settings.price_in + completion_tokens * settings.price_out) / 1e6

    def _count_tokens(self, reply: Reply) -> float:
        """Adds the reply's tokens to the ledger and to its price; returns its own price."""
        ledger = self.ledger
        ledger.prompt_tokens += reply.prompt_tokens
        ledger.completion_tokens += reply.completion_tokens
        price = self._price(reply.prompt_tokens, reply.completion_tokens)
        ledger.price += price
        return price

    def _is_affordable(self) -> bool:
        limit = self._settings.max_cost
        return not limit or self.ledger.spent < limit

    def _stored(self, request: TeacherRequest) -> Reply | None:
        query = """SELECT text, prompt_tokens, completion_tokens, cut_replies.request NOT NULL
            FROM replies LEFT JOIN cut_replies USING (request)
            WHERE replies.request = ? AND text NOT NULL"""
        found = None
        for identity in filter(None, (self._teacher.identity, self._former_identity)):
            with self._clear_errors():
                found = found or self._row(query, request.digest(identity))
        if found is None:
            return None
        text, prompt_tokens, completion_tokens, cut = found
        cut = bool(cut) or completion_tokens >= request.max_tokens  # earlier versions stored no cut
        return Reply(text, prompt_tokens, completion_tokens, cut=cut)

    def _record(self, request: TeacherRequest, reply: Reply) -> None:
        price = self._count_tokens(reply)
        self.ledger.cost += price
        self.ledger.spent += price
        self.ledger.asked += not reply.error
        self.ledger.failed += bool(reply.error)
        if reply.error and not (reply.prompt_tokens or reply.completion_tokens):
            return
        digest = request.digest(self._teacher.identity)
        text = None if reply.error else reply.text
        row = (digest, text, reply.prompt_tokens, reply.completion_tokens)
        with self._clear_errors():
            if reply.cut:
                self._database.execute("INSERT OR IGNORE INTO cut_replies VALUES (?)", (digest,))
            self._database.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?)", row)

    def _row(self, query: str, *values: str) -> tuple[Any, ...] | None:
        with closing(self._database.execute(query, values)) as rows:
            row: tuple[Any, ...] | None = rows.fetchone()
        return row

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """Raises RunError for an error of the database, with a hint that loses no reply."""
        try:
            yield
        except sqlite3.Error as error:
            hint = "free some space, or end what else uses it, then run the same command again"
            if not isinstance(error, sqlite3.OperationalError):
                hint = "move the file away, or put a copy in its place: the replies cost money"
            raise RunError(f"cannot use the cache {self._file}: {error}", hint) from error
