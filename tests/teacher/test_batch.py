"""A teacher behind a command that answers files of requests: a real program, which misbehaves."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steiner.dags.store import read_dags, read_paths
from steiner.dags.synthesis import synthesise
from steiner.recipe import Recipe, TeacherRecipe
from steiner.recipe_file import load_recipe
from steiner.teacher import batch, endpoint
from steiner.teacher.batch import BatchTeacher
from steiner.teacher.preview import preview
from steiner.teacher.requests import Reply, TeacherRequest
from steiner.teacher.steps import solving_messages
from steiner.teacher.synthesis import teacher_blocks
from steiner.types import RunError, SearchPath, UserError
from tests.teacher.scripted_batch import FIRST_RUN_ONLY, batch_command, runs
from tests.teacher.scripted_endpoint import Script, scripted_endpoint, sums_file


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses between the tries of the endpoint."""
    monkeypatch.setattr(endpoint, "FIRST_PAUSE_S", 0.001)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "record"


def _recipe(folder: Path, **teacher: Any) -> Recipe:
    settings = {"model": "scripted", **teacher}
    return load_recipe(
        "questions",
        [
            f"questions.source={json.dumps(str(sums_file(folder)))}",
            "questions.name=sums",
            "questions.grader=number",
            *(f"teacher.{key}={json.dumps(value)}" for key, value in settings.items()),
        ],
    )


def _synthesise(recipe: Recipe, folder: Path) -> list[SearchPath]:
    synthesise(recipe, folder / "synth", teacher_blocks(recipe, folder))
    return list(read_paths(folder / "synth" / "paths.parquet"))


def _asked(record: Path) -> Counter[str]:
    return Counter(digest for _, ids in runs(record) for digest in ids)


def _requests(count: int) -> list[TeacherRequest]:
    return [
        TeacherRequest(solving_messages(f"What is {n} + 4 + 5?", str(n + 9)), 0.0, 200)
        for n in range(count)
    ]


def _ask(command: str, folder: Path, requests: list[TeacherRequest]) -> list[Reply]:
    found: dict[int, Reply] = {}
    counts: Counter[int] = Counter()

    def keep(place: int, reply: Reply) -> None:
        found[place] = reply
        counts[place] += 1

    teacher = BatchTeacher(TeacherRecipe(model="scripted", batch_command=command), folder)
    teacher.replies(requests, keep, lambda: True)
    assert set(counts.values()) == {1}
    return [found[place] for place in range(len(requests))]


@pytest.mark.parametrize(
    "script",
    [
        {},
        {"always_wrong": False, "units": " eggs"},
        {"refused": "What is 5 + 44 + 110?", "cut_rate": 5, "broken_rate": 7},
        {"no_text": "What is 5 + 44 + 110?", "other_way_back": True},
    ],
)
def test_the_items_are_those_of_the_endpoint(
    tmp_path: Path, record: Path, script: dict[str, Any]
) -> None:
    prices = {"price_in": 5.0, "price_out": 20.0}
    with scripted_endpoint(Script(**script)) as url:
        _synthesise(_recipe(tmp_path, url=url, **prices), tmp_path / "endpoint")
    command = batch_command(record, **script)
    _synthesise(_recipe(tmp_path, batch_command=command, **prices), tmp_path / "batch")
    one, other = (tmp_path / name / "synth" for name in ("endpoint", "batch"))
    assert list(read_dags(one / "dags.parquet")) == list(read_dags(other / "dags.parquet"))
    assert list(read_paths(one / "paths.parquet")) == list(read_paths(other / "paths.parquet"))
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (one, other)]
    assert manifests[0]["counts"] == manifests[1]["counts"]
    assert manifests[0]["teacher_cost"] == manifests[1]["teacher_cost"] > 0


def test_each_round_is_one_run_and_is_shown(
    tmp_path: Path, record: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = _recipe(tmp_path, batch_command=batch_command(record))
    first = _synthesise(recipe, tmp_path)
    num_requests = [len(ids) for _, ids in runs(record)]
    assert len(num_requests) == 4
    shown = capsys.readouterr().err
    for number, count in enumerate(num_requests, 1):
        assert f"round {number} of 4: {count} requests about " in shown
    assert _synthesise(recipe, tmp_path) == first
    assert len(runs(record)) == 4  # all from the cache


@pytest.mark.parametrize("behaviour", FIRST_RUN_ONLY)
def test_lines_of_no_use_are_counted_and_their_requests_asked_again(
    tmp_path: Path, record: Path, behaviour: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = _ask(batch_command(tmp_path / "other"), tmp_path / "good", _requests(12))
    assert _ask(batch_command(record, behaviour), tmp_path, _requests(12)) == good
    (_, first), (_, second) = runs(record)
    assert second == first[::3]
    said = capsys.readouterr().err
    if behaviour == "errors":
        assert said.count("an error in the place of a response: expired") == 1
        assert "asks 4 requests again: 4 an error in the place of a response" in said
    else:
        assert "asks 4 requests again: 4 no line in the output of the command" in said
    if behaviour == "unreadable":
        assert "12 lines of the output: no JSON, or no custom_id" in said
        assert "4 lines of the output: an unknown custom_id" in said


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [("fails", "exit status 1: ERROR: out of memory"), ("dies", "ended by signal 9: ERROR")],
)
def test_a_command_that_fails_keeps_its_replies(
    tmp_path: Path, record: Path, behaviour: str, says: str
) -> None:
    broken = _recipe(tmp_path, batch_command=batch_command(record, behaviour))
    with pytest.raises(RunError, match=says) as caught:
        _synthesise(broken, tmp_path)
    assert str(tmp_path / "teacher" / "batch" / "log") in caught.value.hint
    paths = _synthesise(_recipe(tmp_path, batch_command=batch_command(record)), tmp_path)
    (_, first), (_, second) = runs(record)[:2]
    assert second == first[len(first) // 2 :]
    whole = _recipe(tmp_path, batch_command=batch_command(tmp_path / "other"))
    assert _synthesise(whole, tmp_path / "whole") == paths


@pytest.mark.parametrize(
    ("behaviour", "script", "error", "says"),
    [
        ("no file", {}, RunError, "wrote no file .*output.jsonl"),
        ("empty", {}, RunError, "20 times in a row: no line in the output"),
        ("", {"error_rate": 1}, RunError, "20 times in a row: status 500"),
        ("", {"no_json": True}, RunError, "in a row: a reply that is no chat completion"),
        ("", {"refused": "What"}, UserError, "refused, status 400: scripted error"),
        ("", {"no_text": "What"}, UserError, "20 times in a row: a reply without text"),
        ("", {"error_rate": 1, "error_status": 404}, UserError, "no model 'scripted' behind"),
    ],
)
def test_a_useless_command_is_one_clear_error(
    tmp_path: Path,
    record: Path,
    behaviour: str,
    script: dict[str, Any],
    error: type[Exception],
    says: str,
) -> None:
    with pytest.raises(error, match=says):
        _ask(batch_command(record, behaviour, **script), tmp_path, _requests(30))
    assert len(runs(record)) == 1
    replies = _ask(batch_command(record), tmp_path, _requests(30))  # its output is no obstacle
    assert not any(reply.error for reply in replies)


def test_a_request_that_always_fails_does_so_alone(tmp_path: Path, record: Path) -> None:
    replies = _ask(batch_command(record, broken_rate=3), tmp_path, _continuing(30))
    errors = [reply.error for reply in replies if reply.error]
    assert 0 < len(errors) < 20
    assert set(errors) == {"status 500"}
    assert [len(ids) for _, ids in runs(record)] == [30, len(errors)]


def _continuing(count: int) -> list[TeacherRequest]:
    """Requests without the answer shown."""
    shown = _requests(1)[0].messages[0]
    question = type(shown)("user", "What is 3 + 4 + 5?")
    return [TeacherRequest((question,), 0.8, 200, sample) for sample in range(count)]


def test_equal_requests_are_asked_once(tmp_path: Path, record: Path) -> None:
    requests = _requests(3) + _requests(2)
    replies = _ask(batch_command(record), tmp_path, requests)
    assert replies[3:] == replies[:2]
    assert len(runs(record)[0][1]) == 3


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"batch_command": "run -o {output}"}, r"has no \{input\}"),
        ({"batch_command": "run -i {input}"}, r"has no \{output\}"),
        ({"batch_command": "run '{input} {output}"}, "cannot be read: No closing quotation"),
        ({"batch_command": "no-such-program {input} {output}"}, "cannot start no-such-program"),
        ({"url": "http://127.0.0.1:9/v1"}, "teacher.url are both set"),
        ({"ray": "auto"}, "teacher.ray are both set"),
        ({"model": ""}, "teacher.model is empty"),
    ],
)
def test_wrong_settings_are_one_clear_error(
    tmp_path: Path, settings: dict[str, Any], says: str
) -> None:
    recipe = _recipe(tmp_path, **({"batch_command": "run {input} {output}"} | settings))
    with pytest.raises(UserError, match=says):
        _synthesise(recipe, tmp_path)


def test_the_command_gets_the_model_and_its_own_arguments(tmp_path: Path) -> None:
    out = tmp_path / "arguments"
    program = f"import json, sys; json.dump(sys.argv[1:], open({str(out)!r}, 'w'))"
    command = [sys.executable, "-c", program, "{model}", "{input}", '{"a": 1}', "--o={output}"]
    folder = tmp_path / "a folder"
    with pytest.raises(RunError, match="wrote no file"):
        _ask(shlex.join(command), folder, _requests(1))
    found = json.loads(out.read_text())
    assert found == [
        "scripted",
        f"{folder}/input.jsonl",
        '{"a": 1}',
        f"--o={folder}/output.jsonl",
    ]


def test_the_preview_runs_the_command_and_the_run_does_not_ask_again(
    tmp_path: Path, record: Path
) -> None:
    recipe = _recipe(tmp_path, batch_command=batch_command(record), price_in=1.0)
    text = preview(recipe, tmp_path, 3)
    assert text.count("nodes") == 3
    assert "cost" in text.splitlines()[-1]
    assert len(runs(record)) == 4
    _synthesise(recipe, tmp_path)
    assert set(_asked(record).values()) == {1}


def test_the_cost_limit_holds_between_runs(tmp_path: Path, record: Path) -> None:
    command = batch_command(record)
    limited = _recipe(tmp_path, batch_command=command, price_in=10_000.0, max_cost=5.0)
    with pytest.raises(RunError, match="cost limit"):
        _synthesise(limited, tmp_path)
    assert len(runs(record)) == 1
    _synthesise(_recipe(tmp_path, batch_command=command), tmp_path)
    assert set(_asked(record).values()) == {1}


def _started(folder: Path, command: str) -> subprocess.Popen[str]:
    """A real `steiner synth`."""
    program = [sys.executable, "-m", "steiner", "synth", "--questions", str(sums_file(folder))]
    program += ["--grader", "number", "--teacher", "scripted", "--teacher-batch", command]
    program += ["--out", str(folder / "run")]
    return subprocess.Popen(program, stderr=subprocess.PIPE, text=True)


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None
        time.sleep(0.02)


def _is_half_answered(folder: Path) -> bool:
    output = folder / "run" / "teacher" / "batch" / "output.jsonl"
    return output.exists() and len(output.read_bytes().splitlines()) >= 5


def test_ctrl_c_ends_the_command_and_loses_nothing(tmp_path: Path, record: Path) -> None:
    interrupted = _started(tmp_path, batch_command(record, "hangs"))
    _wait_for(lambda: _is_half_answered(tmp_path), interrupted)
    interrupted.send_signal(signal.SIGINT)
    said = interrupted.communicate()[1]
    assert interrupted.returncode == 130
    assert "Traceback" not in said
    assert "the same command continues" in said
    [(process, first)] = runs(record)
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    again = _started(tmp_path, batch_command(record))
    again.communicate()
    assert again.returncode == 0
    assert runs(record)[1][1] == first[len(first) // 2 :]
    assert set((_asked(record) - Counter(first[len(first) // 2 :])).values()) == {1}


def test_a_command_that_ignores_ctrl_c_is_killed(
    tmp_path: Path, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "_PATIENCE_S", 0.3)
    command = batch_command(record, "ignores ctrl-c")
    teacher = BatchTeacher(TeacherRecipe(model="scripted", batch_command=command), tmp_path)

    def interrupt(place: int, reply: Reply) -> None:
        while "ignored" not in (tmp_path / "log").read_text():
            time.sleep(0.02)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teacher.replies(_requests(4), interrupt, lambda: True)
    with pytest.raises(ProcessLookupError):
        os.kill(runs(record)[0][0], 0)


def test_a_killed_run_leaves_its_command_and_the_next_takes_its_replies(
    tmp_path: Path, record: Path
) -> None:
    command = batch_command(record, "hangs")
    killed = _started(tmp_path, command)
    _wait_for(lambda: _is_half_answered(tmp_path), killed)
    killed.kill()
    killed.communicate()
    again = _started(tmp_path, command)
    assert again.stderr is not None
    process = runs(record)[0][0]
    lines = iter(again.stderr.readline, "")
    assert any(line.endswith(f"an earlier run, process {process}\n") for line in lines)
    record.with_suffix(".go").touch()
    again.communicate()
    assert again.returncode == 0
    assert set(_asked(record).values()) == {1}
