"""Replies on disk, and what they cost, also over several runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from steiner.recipe import TeacherRecipe
from steiner.teacher import cache
from steiner.teacher.cache import CachedTeacher
from steiner.teacher.requests import Reply, TeacherRequest
from steiner.types import Message, RunError


class _Teacher:
    """Every reply has 100 tokens, and those to odd samples no text."""

    identity = "teacher"

    def __init__(self, text: str = "fine", *, fails: bool = False) -> None:
        self.text, self.fails, self.num_asked = text, fails, 0

    def replies(
        self,
        requests: Sequence[TeacherRequest],
        on_reply: Callable[[int, Reply], None],
        may_go_on: Callable[[], bool],
    ) -> None:
        for place, request in enumerate(requests):
            if not may_go_on():
                return
            self.num_asked += 1
            error = "no text" if self.fails and request.sample % 2 else ""
            on_reply(place, Reply("" if error else self.text, 60, 40, error, cut=True))


SETTINGS = TeacherRecipe(model="teacher", max_tokens=512, price_in=1e4, price_out=1e4)
"""A reply costs 1."""


def _requests(count: int, start: int = 0) -> list[TeacherRequest]:
    return [
        TeacherRequest((Message("user", "x"),), 1.0, 512, n) for n in range(start, start + count)
    ]


def _ask(teacher: _Teacher, file: Path, count: int, start: int = 0, limit: float = 0) -> Any:
    settings = TeacherRecipe(model="teacher", price_in=1e4, price_out=1e4, max_cost=limit)
    with CachedTeacher(teacher, settings, file) as cached:
        cached.ask(_requests(count, start), lambda count: None)
        return cached.ledger


def test_the_limit_holds_over_all_runs(tmp_path: Path) -> None:
    file, teacher = tmp_path / "a.sqlite", _Teacher()
    ledger = _ask(teacher, file, 4, limit=10)
    assert (ledger.cost, ledger.spent) == (pytest.approx(4), pytest.approx(4))
    for _ in range(2):
        with pytest.raises(RunError, match=r"the cost limit is reached: 10\.00 of 10 since"):
            _ask(teacher, file, 20, limit=10)
    assert teacher.num_asked == 10
    ledger = _ask(teacher, file, 20, limit=30)
    assert (ledger.asked, ledger.from_cache) == (10, 10)
    assert ledger.cost == pytest.approx(10)
    assert ledger.spent == ledger.price == pytest.approx(20)


def test_failed_requests_cost_money_and_are_asked_again(tmp_path: Path) -> None:
    file, teacher = tmp_path / "a.sqlite", _Teacher(fails=True)
    ledger = _ask(teacher, file, 6)
    assert (ledger.asked, ledger.failed, ledger.completion_tokens) == (3, 3, 240)
    ledger = _ask(_Teacher(), file, 6)
    assert (ledger.asked, ledger.from_cache, ledger.failed) == (3, 3, 0)
    with pytest.raises(RunError, match="the cost limit is reached"):
        _ask(_Teacher(), file, 2, start=50, limit=6)


def test_what_was_cut_is_kept(tmp_path: Path) -> None:
    for _ in range(2):
        with CachedTeacher(_Teacher(), SETTINGS, tmp_path / "a.sqlite") as cached:
            assert all(reply.cut for reply in cached.ask(_requests(3), lambda count: None))


def test_a_file_without_a_reply_is_not_left_behind(tmp_path: Path) -> None:
    file = tmp_path / "run" / "teacher" / "replies.sqlite"
    _ask(_Teacher(), file, 0)
    assert not list(tmp_path.iterdir())
    _ask(_Teacher(fails=True), file, 1, start=1)  # its tokens cost money
    _ask(_Teacher(), file, 0)
    assert file.exists()
    assert _ask(_Teacher(), file, 0).spent == pytest.approx(1)


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.sqlite"
    _ask(_Teacher("x" * 1000), file, 20)

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        database = sqlite3.Connection(*arguments, **options)
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {pages}")
        return database

    with monkeypatch.context() as patch:
        patch.setattr(cache.sqlite3, "connect", connect)
        with pytest.raises(RunError, match=r"cannot use the cache .*full") as caught:
            _ask(_Teacher("x" * 1000), file, 40)
    assert "free some space" in caught.value.hint
    assert "delete" not in caught.value.hint
    ledger = _ask(_Teacher("x" * 1000), file, 40)
    assert ledger.from_cache >= 20


def test_a_damaged_file_is_one_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "a.sqlite"
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(RunError, match=r"cannot use the cache .*not a database") as caught:
        _ask(_Teacher(), file, 1)
    assert "move the file away" in caught.value.hint
    _ask(_Teacher("x" * 1000), tmp_path / "b.sqlite", 50)
    content = bytearray((tmp_path / "b.sqlite").read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    (tmp_path / "b.sqlite").write_bytes(content)
    with pytest.raises(RunError, match="cannot use the cache"):
        _ask(_Teacher(), tmp_path / "b.sqlite", 50)
