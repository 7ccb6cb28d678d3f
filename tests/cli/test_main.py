"""The real executable: it answers at once, and refuses bad input in one clear line."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from steiner.cli import main as cli
from steiner.files import locked
from steiner.pipeline import runs as pipeline
from steiner.types import RunError

STEINER = Path(sys.executable).with_name("steiner")
COMMANDS = ("synth", "pretrain", "train", "run", "eval", "report", "solve", "chat")


def _steiner(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "100"}
    return subprocess.run(
        [STEINER, *arguments], capture_output=True, text=True, cwd=cwd, env=environment, timeout=60
    )


def test_help_begins_with_an_example_and_lists_commands_in_order(tmp_path: Path) -> None:
    done = _steiner("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("Example:\n  steiner run")
    listing = done.stdout.partition("commands:")[2]
    places = [listing.index(f"  {command} ") for command in COMMANDS]
    assert places == sorted(places)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_begins_with_an_example(command: str, tmp_path: Path) -> None:
    done = _steiner(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(f"Example:\n  steiner {command} ")


def test_help_answers_at_once(tmp_path: Path) -> None:
    def seconds() -> float:
        start = time.perf_counter()
        _steiner("--help", cwd=tmp_path)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(5)) < 1.0  # measured 0.1; torch alone takes 2


@pytest.mark.parametrize(
    ("arguments", "line", "hint"),
    [
        (("run", "--set", "sft.token=3"), "unknown key 'sft.token'", "did you mean 'sft.tokens'?"),
        (("run", "--recipe", "tniy"), "unknown recipe 'tniy'", "did you mean 'tiny'?"),
        (("synth", "--set", "problems.levels.jgus=1"), "unknown task 'jgus'", "'jugs'"),
        (("run", "--set", "synth.in_order=['sudoku']"), "unknown task 'sudoku'", "'mini_sudoku'"),
        (("run", "--set", "sft.shares.jgus=1"), "unknown task 'jgus'", "'jugs'"),
        (("synth", "--set", "problems.levels.jugs=99"), "problems.levels.jugs is 99", "1 to "),
        (("run", "--set", "problems.levels={}"), "names no problem family", "[problems.levels]"),
        (("train", "sftt"), "unknown stage 'sftt'", "did you mean 'sft'?"),
        (("train", "synth"), "unknown stage 'synth'", "one of: cpt, sft, rl"),
        (("train", "sft"), "stage 'sft' needs 'synth'", "steiner run"),
        (("solve", "Is it?"), "no model in runs/tiny/rl", "steiner run"),
        (("sytnh",), "invalid choice: 'sytnh'", "steiner --help"),
        ((), "required: COMMAND", "steiner --help"),
    ],
)
def test_bad_input_is_one_line_and_a_hint(
    arguments: tuple[str, ...], line: str, hint: str, tmp_path: Path
) -> None:
    done = _steiner(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert line in first
    assert second.startswith("hint: ")
    assert hint in second


def test_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = f"'{STEINER}' --help | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""


def test_second_process_in_one_run_folder_is_refused(tmp_path: Path) -> None:
    with locked(tmp_path / "held"):
        done = _steiner("run", "--recipe", "smoke", "--out", "held", cwd=tmp_path)
    assert done.returncode == 2
    assert "another steiner is at work in held" in done.stderr


def _raising(error: BaseException) -> Callable[..., NoReturn]:
    def run(*arguments: object, **options: object) -> NoReturn:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "exit_code", "line"),
    [
        (KeyboardInterrupt(), 130, "hint: the same command goes on where this one stopped"),
        (RunError("the server has gone", "start it"), 1, "error: the server has gone"),
        (OSError(errno.ENOSPC, "No space left", "/runs/x"), 1, "error: no space left on the disk"),
        (PermissionError(errno.EACCES, "no", "/runs/x"), 1, "error: permission denied"),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_failures_are_told_in_one_line(
    error: BaseException,
    exit_code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(pipeline, "run", _raising(error))
    monkeypatch.setattr(cli, "_discard_output", lambda: None)  # it would close pytest's own stdout
    assert cli.main(["run"]) == exit_code
    told = capfd.readouterr().err
    assert line in told
    assert "Traceback" not in told


def test_our_own_mistakes_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "run", _raising(FileNotFoundError(errno.ENOENT, "gone", "x")))
    with pytest.raises(FileNotFoundError):
        cli.main(["run"])
