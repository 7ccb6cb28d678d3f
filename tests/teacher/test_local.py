"""A teacher that runs here, on a real small model."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from steiner.recipe import TeacherRecipe
from steiner.teacher.cache import CachedTeacher
from steiner.teacher.local import LocalTeacher
from steiner.teacher.requests import Reply, TeacherRequest
from steiner.types import Message, RunError, UserError


@pytest.fixture
def settings(
    make_model: Callable[[], Qwen2ForCausalLM],
    base_tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
) -> TeacherRecipe:
    folder = tmp_path / "teacher"
    make_model().save_pretrained(folder)
    base_tokenizer.save_pretrained(folder)
    return TeacherRecipe(model=str(folder), max_tokens=40, price_out=1e6)


def _requests(count: int) -> list[TeacherRequest]:
    return [TeacherRequest((Message("user", "Jugs of 3"),), 1.0, 40, n) for n in range(count)]


def test_replies_are_repeatable_and_kept(settings: TeacherRecipe, tmp_path: Path) -> None:
    requests = _requests(40)
    with CachedTeacher(LocalTeacher(settings), settings, tmp_path / "a.sqlite") as teacher:
        first = teacher.ask(requests, lambda count: None)
        assert teacher.ask(requests, lambda count: None) == first
        assert (teacher.ledger.asked, teacher.ledger.from_cache) == (40, 40)
        assert teacher.ledger.cost == sum(reply.completion_tokens for reply in first)
    with CachedTeacher(LocalTeacher(settings), settings, tmp_path / "b.sqlite") as teacher:
        assert teacher.ask(requests, lambda count: None) == first
    assert len({reply.text for reply in first}) > 20
    assert all(0 < reply.completion_tokens <= 40 for reply in first)


def test_a_cost_limit_stops_in_the_middle(settings: TeacherRecipe, tmp_path: Path) -> None:
    limited = TeacherRecipe(
        model=settings.model, max_tokens=40, price_out=1e6, max_cost=300, max_concurrent=4
    )
    with CachedTeacher(LocalTeacher(limited), limited, tmp_path / "a.sqlite") as teacher:
        with pytest.raises(RunError, match="the cost limit is reached"):
            teacher.ask(_requests(200), lambda count: None)
        assert 3 <= teacher.ledger.asked < 100
        asked = teacher.ledger.asked
    with CachedTeacher(LocalTeacher(settings), settings, tmp_path / "a.sqlite") as teacher:
        teacher.ask(_requests(200), lambda count: None)
        assert teacher.ledger.from_cache == asked


def test_a_prompt_that_is_too_long_fails_alone(settings: TeacherRecipe) -> None:
    long = TeacherRequest((Message("user", "Jugs of 3 " * 1000),), 1.0, 40)
    replies: dict[int, Reply] = {}
    LocalTeacher(settings).replies([long, *_requests(2)], replies.__setitem__, lambda: True)
    assert replies[0].error == "a prompt above teacher.max_prompt_tokens"
    assert not replies[1].error
    assert not replies[2].error


def test_the_longest_prompt_can_be_set(settings: TeacherRecipe) -> None:
    long = TeacherRequest((Message("user", "Jugs of 3 " * 400),), 1.0, 40)
    replies: dict[int, Reply] = {}
    wider = replace(settings, max_prompt_tokens=10_000)
    LocalTeacher(wider).replies([long], replies.__setitem__, lambda: True)
    assert replies[0].prompt_tokens > 1024
    assert not replies[0].error


def test_a_reply_that_max_tokens_ends_is_cut(settings: TeacherRecipe) -> None:
    replies: dict[int, Reply] = {}
    LocalTeacher(settings).replies(_requests(40), replies.__setitem__, lambda: True)
    assert {reply.cut for reply in replies.values()} == {True, False}
    assert all(reply.cut == (reply.completion_tokens == 40) for reply in replies.values())


def test_another_model_in_the_same_folder_is_another_teacher(
    settings: TeacherRecipe, make_model: Callable[..., Qwen2ForCausalLM], tmp_path: Path
) -> None:
    requests, file = _requests(3), tmp_path / "a.sqlite"
    _store_as_earlier_versions(requests[0], settings.model, file)
    with CachedTeacher(LocalTeacher(settings), settings, file) as teacher:
        assert teacher.ask(requests, lambda count: None)[0].text == "old"
        assert (teacher.ledger.asked, teacher.ledger.from_cache) == (2, 1)
    model = Qwen2ForCausalLM.from_pretrained(settings.model)
    model.model.norm.weight.data += 0.5
    model.save_pretrained(settings.model)
    with CachedTeacher(LocalTeacher(settings), settings, file) as teacher:
        assert teacher.ask(requests, lambda count: None)[0].text != "old"
        assert (teacher.ledger.asked, teacher.ledger.from_cache) == (3, 0)


def _store_as_earlier_versions(request: TeacherRequest, name: str, file: Path) -> None:
    """Stores the reply "old" under the name of the teacher's folder, in a file without the newer
    tables."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "CREATE TABLE replies (request TEXT PRIMARY KEY, text TEXT, prompt_tokens INTEGER, "
            "completion_tokens INTEGER)"
        )
        row = (request.digest(name), "old", 5, 7)
        database.execute("INSERT INTO replies VALUES (?, ?, ?, ?)", row)


def test_no_teacher_is_one_clear_error() -> None:
    with pytest.raises(UserError, match="no teacher is named"):
        LocalTeacher(TeacherRecipe())
