"""The model that solve, chat and serve use, and what they say if there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from steiner.cli.main import main
from steiner.cli.model_options import model_of_run, newest_model
from steiner.recipe import SHIPPED_REASONER

ASKING = (["solve", "Who?"], ["chat"], ["serve"])


def test_newest_run_has_the_model_unless_a_run_is_named(tmp_path: Path) -> None:
    assert newest_model(tmp_path) == str(SHIPPED_REASONER)
    for age, run in enumerate(("new", "old")):
        config = tmp_path / run / "rl" / "config.json"
        config.parent.mkdir(parents=True)
        config.touch()
        os.utime(config, (10 - age, 10 - age))
    assert newest_model(tmp_path) == str(tmp_path / "new" / "rl")
    assert model_of_run(tmp_path / "old") == str(tmp_path / "old" / "rl")


@pytest.mark.parametrize("command", ASKING)
@pytest.mark.parametrize(
    ("arguments", "line", "hint"),
    [
        (["--run", "runs/mine"], "no model in runs/mine/rl", "steiner run --out runs/mine"),
        (["--run", "a", "--model", "b"], "both --model and --run", "give one of them"),
        (["--model", "nowhere"], "no model folder nowhere", "model folder"),
        (["--model", "nowhere/at/all"], "no model folder nowhere/at/all", "model folder"),
        (["--model", "a_file"], "a_file is a file, not a model folder", "folder"),
        (["--model", "."], "", ""),  # a folder without a model
    ],
)
def test_missing_model_is_one_line_and_a_hint(
    command: list[str],
    arguments: list[str],
    line: str,
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a_file").touch()
    port = ["--port", "0"] if command == ["serve"] else []
    assert main([*command, *arguments, *port]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second = captured.err.splitlines()
    assert first.startswith("error: ")
    assert line in first
    assert second.startswith("hint: ")
    assert hint in second


def test_name_without_an_owner_is_never_asked_for_on_the_hub(tmp_path: Path) -> None:
    code = (
        "import socket, sys\nfrom steiner.cli.main import main\n"
        "def refuse(*arguments, **options): sys.exit('asked the network')\n"
        "socket.getaddrinfo = socket.create_connection = refuse\n"
        "sys.exit(main(['solve', 'Who?', '--model', 'nowhere']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: no model folder nowhere\n")
