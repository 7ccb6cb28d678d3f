"""`steiner chat` in a real pseudo-terminal and with piped input."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import select
import shutil
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from steiner.cli.main import main

STEINER = Path(sys.executable).with_name("steiner")


ENDLESS = ("--min-steps", "400", "--temperature", "2")
"""The model writes random text, so the check for repetition does not stop it."""


class Terminal:
    """A pseudo-terminal that runs a `steiner` command."""

    def __init__(self, *arguments: str | Path) -> None:
        self.child, self._handle = pty.fork()
        if self.child == 0:
            size = struct.pack("HHHH", 40, 80, 0, 0)  # rows, columns, pixels
            fcntl.ioctl(1, termios.TIOCSWINSZ, size)
            os.environ |= {"TERM": "xterm", "NO_COLOR": "1"}
            os.execv(STEINER, [str(STEINER), *map(str, arguments)])
        self._unread = ""

    def wait_for(self, text: str, timeout_s: float = 120.0) -> None:
        """Reads up to the end of `text`."""
        end = time.monotonic() + timeout_s
        while text not in self._unread:
            assert time.monotonic() < end, f"no {text!r} in {self._unread!r}"
            if select.select([self._handle], [], [], 1)[0]:
                self._unread += os.read(self._handle, 4096).decode(errors="replace")
        self._unread = self._unread.partition(text)[2]

    def type(self, text: str) -> None:
        os.write(self._handle, text.encode())

    def exit_code(self) -> int:
        with suppress(OSError):  # Linux: the other end is closed
            while os.read(self._handle, 4096):
                pass
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.child, 9)


@pytest.fixture
def endless_model(model_dir: Path, tmp_path: Path) -> Path:
    """The known model with room for 8192 tokens: it writes for many seconds."""
    folder = tmp_path / "endless"
    shutil.copytree(model_dir, folder)
    config = json.loads((folder / "config.json").read_text())
    config["max_position_embeddings"] = 8192
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def chat(endless_model: Path) -> Iterator[Terminal]:
    opened = Terminal("chat", "--model", endless_model, *ENDLESS)
    yield opened
    opened.kill()


def test_ctrl_c_stops_the_answer_and_keeps_the_chat(chat: Terminal, question: str) -> None:
    chat.wait_for("\n> ")
    chat.type("/help\n")
    chat.wait_for("as Ctrl-D does")
    for asked in ("Who are you?", question):
        chat.type(f"{asked}\n")
        chat.wait_for("current understanding")
        chat.type("\x03")
        chat.wait_for("stopped")
        chat.wait_for("\n> ")
    chat.type("\x04")
    assert chat.exit_code() == 0


@pytest.mark.parametrize("word", ["/exit", "quit"])
def test_a_word_ends_the_chat(chat: Terminal, word: str) -> None:
    chat.wait_for("\n> ")
    chat.type(f"{word}\n")
    assert chat.exit_code() == 0


def test_ctrl_c_ends_solve(endless_model: Path) -> None:
    terminal = Terminal("solve", "Who are you?", "--model", endless_model, *ENDLESS)
    terminal.wait_for("current understanding")
    terminal.type("\x03")
    terminal.wait_for("stopped")
    terminal.wait_for("error: interrupted")
    assert terminal.exit_code() == 130


def test_ctrl_c_in_a_batch_says_how_many_lines_are_written(
    endless_model: Path, tmp_path: Path
) -> None:
    path = tmp_path / "questions"
    path.write_text('{"question": ""}\nWho are you?\n')
    terminal = Terminal("solve", "--model", endless_model, "--file", path, *ENDLESS)
    terminal.wait_for("the question is empty")
    terminal.wait_for("question/s")  # the progress bar
    terminal.type("\x03")
    terminal.wait_for("error: interrupted")
    terminal.wait_for("hint: 1 of 2 lines are written")
    assert terminal.exit_code() == 130


def test_chat_keeps_its_turns_until_it_is_reset(
    model_dir: Path,
    question: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [question, question, "/reset", question, "/what", " ", "Who? " * 2000, question]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    assert main(["chat", "--model", str(model_dir), "--max-steps", "3"]) == 0
    shown = capsys.readouterr().out
    read = [int(count) for count in re.findall(r"tokens: (\d+) question", shown)]
    assert len(read) == 4
    assert read[0] == read[2] < read[1] == read[3]
    assert "unknown command /what" in shown
    assert "error: the dialogue takes" in shown


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_binary_input_ends_the_chat_with_one_line(
    encoding: str,
    model_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    errors = "strict" if encoding == "utf-8" else "surrogateescape"
    stdin = io.TextIOWrapper(io.BytesIO(b"caf\xe9\n"), encoding=encoding, errors=errors)
    monkeypatch.setattr("sys.stdin", stdin)
    assert main(["chat", "--model", str(model_dir)]) == 2
    assert "error: standard input is not UTF-8 text\nhint: " in capsys.readouterr().err
