"""A teacher behind an API that limits, refuses, hangs and breaks off."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace

import pytest

from steiner.recipe import TeacherRecipe
from steiner.teacher import endpoint
from steiner.teacher.endpoint import EndpointTeacher
from steiner.teacher.requests import Reply, TeacherRequest
from steiner.teacher.steps import solving_messages
from steiner.types import RunError, UserError
from tests.teacher.scripted_endpoint import Script, scripted_endpoint


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses between tries."""
    monkeypatch.setattr(endpoint, "FIRST_PAUSE_S", 0.001)


def _requests(count: int) -> list[TeacherRequest]:
    return [
        TeacherRequest(solving_messages(f"What is {n} + 4 + 5?", str(n + 9)), 0.0, 200)
        for n in range(count)
    ]


def _ask(teacher: EndpointTeacher, requests: list[TeacherRequest]) -> list[Reply]:
    found: dict[int, Reply] = {}
    teacher.replies(requests, found.__setitem__, lambda: True)
    return [found[place] for place in range(len(requests))]


def test_a_refused_request_fails_alone(capsys: pytest.CaptureFixture[str]) -> None:
    script = Script(refused="What is 3 + 4 + 5?")
    with scripted_endpoint(script) as url:
        teacher = EndpointTeacher(TeacherRecipe(url=url, model="scripted"))
        replies = _ask(teacher, _requests(30))
        alone = _ask(teacher, _requests(30)[3:4])  # as after a restart, with the others cached
    refused = [place for place, reply in enumerate(replies) if reply.error]
    assert refused == [3]
    assert alone[0].error == replies[3].error == "the request is refused, status 400"
    assert script.statuses[400] == 2  # each once: another try does not change it
    assert capsys.readouterr().err.count("status 400: scripted error") == 1


def test_the_limit_of_requests_at_once_is_kept() -> None:
    script = Script(at_once=6)
    with scripted_endpoint(script) as url:
        teacher = EndpointTeacher(TeacherRecipe(url=url, model="scripted"))
        requests = _requests(300)
        for start in range(0, len(requests), 60):
            assert not any(reply.error for reply in _ask(teacher, requests[start : start + 60]))
        assert script.statuses[429] > 0
        assert 2 <= teacher._limit.value < 10
    assert script.most_running < 16  # of the 32 that the recipe allows


def test_the_limit_grows_over_blocks() -> None:
    script = Script()
    with scripted_endpoint(script) as url:
        teacher = EndpointTeacher(TeacherRecipe(url=url, model="scripted"))
        for start in range(4):
            _ask(teacher, _requests(240)[start * 60 : start * 60 + 60])
        assert 20 < teacher._limit.value <= 32


def test_requests_that_fail_together_halve_the_limit_once() -> None:
    limit = endpoint._AdaptiveLimit(32)
    limit.value = 16.0
    for _ in range(16):
        limit.failed(0)
    assert limit.value == 8
    limit.failed(1)
    assert limit.value == 4


def test_the_pause_is_the_one_that_the_server_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():
            pauses.append(seconds)
        else:
            await real_sleep(seconds)  # the endpoint's own

    monkeypatch.setattr(asyncio, "sleep", sleep)
    with scripted_endpoint(Script(error_rate=2, error_status=429, retry_after="7")) as url:
        _ask(EndpointTeacher(TeacherRecipe(url=url, model="scripted")), _requests(2))
    assert pauses == [7, 7]
    pauses.clear()
    with scripted_endpoint(Script(error_rate=2, error_status=429, retry_after="soon")) as url:
        _ask(EndpointTeacher(TeacherRecipe(url=url, model="scripted")), _requests(2))
    assert len(pauses) == 2
    assert max(pauses) < 1


def test_a_request_that_hangs_is_tried_again() -> None:
    script = Script(first_hangs_s=1.0)
    with scripted_endpoint(script) as url:
        settings = TeacherRecipe(url=url, model="scripted", timeout_s=0.3, max_concurrent=1)
        replies = _ask(EndpointTeacher(settings), _requests(1))
    assert not replies[0].error
    assert max(script.tries.values()) >= 2


def test_replies_that_break_off_are_marked() -> None:
    request = replace(_requests(1)[0], messages=_requests(1)[0].messages[:-1])
    question = replace(request.messages[1], content="What is 3 + 4 + 5?")
    requests = [replace(request, messages=(question,), sample=n) for n in range(40)]
    with scripted_endpoint(Script(cut_rate=2)) as url:
        replies = _ask(EndpointTeacher(TeacherRecipe(url=url, model="scripted")), requests)
    assert {reply.cut for reply in replies} == {True, False}
    assert all(reply.cut != ("Answer:" in reply.text) for reply in replies)


def test_a_reply_without_text_is_asked_once_and_its_tokens_count() -> None:
    script = Script(no_text="What is 3 + 4 + 5?")
    with scripted_endpoint(script) as url:
        replies = _ask(EndpointTeacher(TeacherRecipe(url=url, model="scripted")), _requests(8))
    assert [reply.error for reply in replies].count("a reply without text") == 1
    assert (replies[3].prompt_tokens, replies[3].completion_tokens) == (100, 50)
    assert set(script.tries.values()) == {1}


def test_a_teacher_that_never_writes_text_is_one_clear_error() -> None:
    with scripted_endpoint(Script(no_text="What is")) as url:
        teacher = EndpointTeacher(TeacherRecipe(url=url, model="scripted"))
        with pytest.raises(UserError, match="in a row: a reply without text") as caught:
            _ask(teacher, _requests(60))
    assert "teacher.max_tokens" in caught.value.hint


def test_fields_of_requests_can_be_chosen() -> None:
    script = Script(refused_fields=("max_tokens", "seed", "temperature"))
    with scripted_endpoint(script) as url:
        plain = TeacherRecipe(url=url, model="scripted")
        with pytest.raises(UserError, match="status 400") as caught:
            _ask(EndpointTeacher(plain), _requests(40))
        assert "teacher.token_field" in caught.value.hint
        chosen = replace(
            plain,
            token_field="max_completion_tokens",
            omit=("seed", "temperature"),
            extra={"reasoning_effort": "low"},
        )
        assert not any(reply.error for reply in _ask(EndpointTeacher(chosen), _requests(3)))
    for body in map(json.loads, script.requests):
        assert set(body) == {"model", "messages", "max_completion_tokens", "reasoning_effort"}
        assert body["max_completion_tokens"] == 200
    assert EndpointTeacher(plain).identity == "scripted"  # replies of earlier versions are found
    assert EndpointTeacher(chosen).identity != "scripted"


def test_an_endpoint_that_is_down_is_one_clear_error() -> None:
    with pytest.raises(RunError, match="cannot reach the teacher"):
        _ask(EndpointTeacher(TeacherRecipe(url="http://127.0.0.1:9", model="x")), _requests(2))
