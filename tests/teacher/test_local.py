"""A teacher that runs here, on a real small model."""

from __future__ import annotations

from collections.abc import Callable
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
    assert replies[0].error == "the prompt is too long for the teacher"
    assert not replies[1].error
    assert not replies[2].error


def test_no_teacher_is_one_clear_error() -> None:
    with pytest.raises(UserError, match="no teacher is named"):
        LocalTeacher(TeacherRecipe())
