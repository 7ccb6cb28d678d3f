"""`steiner solve` and `steiner chat`, as typed: text, JSON, a real terminal, Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from steiner.cli import main as cli
from steiner.cli.solve_options import find_model
from steiner.cli.step_display import Display
from steiner.cli.style import Style
from steiner.inference.search_tree import Mark
from steiner.inference.step_events import AnswerDelta, Component, ComponentDelta, StepStarted
from steiner.types import Decision, SearchPath, UserError

STEINER = Path(sys.executable).with_name("steiner")
PLAIN = Style(colour=False, unicode=True)


@pytest.fixture
def question(known_path: SearchPath) -> str:
    return known_path.problem.question


def _solve(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["solve", *arguments]) == 0
    return capsys.readouterr().out


def test_steps_tree_answer_and_check_are_shown(
    model_dir: Path, question: str, known_path: SearchPath, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = _solve(capsys, question, "--model", str(model_dir))
    for step in known_path.steps:
        for component in Component:
            text = getattr(step.texts, component)
            assert re.search(rf"^ .*{component.label} +{re.escape(text)}", shown, re.MULTILINE)
    assert shown.count("↩ back\n") == 2
    assert shown.count("(again from the question)") == 2
    assert f"answer   {known_path.answer}\nchecked  right (countdown)\n" in shown
    assert shown.count("├─ ✗ ") == 2
    assert "└─ ★ 3  8 + 3 = 11\n" in shown
    assert "3 steps · 2 backtracks · tokens: " in shown
    assert "\033" not in shown


def test_question_of_no_family_says_that_nothing_checks_it(
    model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = _solve(capsys, "Who are you?", "--model", str(model_dir), "--effort", "low")
    (line,) = [line for line in shown.splitlines() if line.startswith("checked")]
    assert "nothing checks the answer" in line


def test_samples_are_counted_and_vote(
    model_dir: Path, question: str, known_path: SearchPath, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--model", str(model_dir), "--samples", "3", "--temperature", "0.1")
    shown = _solve(capsys, question, *options)
    assert "  3 of 3  " in shown
    assert f"votes     3 of 3  {known_path.answer}\nanswer   {known_path.answer}\n" in shown


def test_json_is_one_object(
    model_dir: Path, question: str, known_path: SearchPath, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads(_solve(capsys, question, "--model", str(model_dir), "--json"))
    assert record["answer"] == known_path.answer
    assert record["accepted"] is True
    assert record["family"] == "countdown"
    assert [step["mark"] for step in record["steps"]] == ["dead_end", "dead_end", "goal"]
    assert record["steps"][0]["verification"] == known_path.steps[0].texts.verification
    assert record["usage"]["total_tokens"] == sum(
        record["usage"][f"{part}_tokens"] for part in ("prompt", "reasoning", "answer")
    )


def test_json_stream_is_one_event_a_line(
    model_dir: Path, question: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = _solve(capsys, question, "--model", str(model_dir), "--json", "--stream")
    events = [json.loads(line) for line in shown.splitlines()]
    assert events[0] == {"event": "step_started", "sample": 0, "step": 0}
    assert events[-1]["event"] == "finished"
    assert {"step_placed", "component_finished", "sample_finished"} < {e["event"] for e in events}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["Use each of 9, 9, 9 once to reach 5."], "this countdown problem has no solution"),
        (["Use each of 900, 9, 9 once to reach 5."], "countdown takes"),
        (["Who?", "--stream"], "--stream goes with --json"),
        (["Who?", "--effort", "lo"], "unknown effort 'lo'"),
        (["Who?", "--model", "nowhere/at/all"], "no model folder"),
    ],
)
def test_bad_input_is_one_line_and_a_hint(
    arguments: list[str], line: str, model_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["solve", "--model", str(model_dir), *arguments]) == 2
    told = capsys.readouterr()
    first, second = told.err.splitlines()
    assert line in first
    assert second.startswith("hint: ")
    assert told.out == ""


def test_model_is_that_of_the_run_else_the_newest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model in"):
        find_model(tmp_path / "tiny")
    for age, run in enumerate(("new", "old")):
        config = tmp_path / run / "rl" / "config.json"
        config.parent.mkdir(parents=True)
        config.touch()
        os.utime(config, (10 - age, 10 - age))
    assert find_model(tmp_path / "tiny") == str(tmp_path / "new" / "rl")
    assert find_model(tmp_path / "old") == str(tmp_path / "old" / "rl")


# ---------------------------------------------------------------------- looks


def test_what_steers_a_terminal_is_not_passed_on() -> None:
    stream = io.StringIO()
    display = Display(stream, PLAIN)
    for event in (
        StepStarted(0, 0),
        ComponentDelta(0, 0, Component.NEXT_STEP, "\x1b[2J\x07go\n on"),
        AnswerDelta(0, " \x1b]0;title"),
    ):
        display.show(event)
    shown = stream.getvalue()
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\n" + " " * 28 + " on\n" in shown  # goes on below its beginning


def test_nothing_is_told_by_colour_alone() -> None:
    for style in (PLAIN, Style(colour=False, unicode=False)):
        assert len({style.decision(decision) for decision in Decision}) == 3
        assert len({style.glyphs.marks[mark] for mark in Mark}) == len(Mark)


def test_colour_only_on_a_terminal_that_wants_it() -> None:
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return True

    assert Style.of(Terminal(), {"TERM": "xterm"}).colour
    assert not Style.of(Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}).colour
    assert not Style.of(Terminal(), {"TERM": "dumb"}).colour
    assert not Style.of(io.StringIO(), {"TERM": "xterm"}).colour


def test_ascii_where_the_output_takes_no_more(model_dir: Path, question: str) -> None:
    done = subprocess.run(
        [STEINER, "solve", question, "--model", model_dir],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        check=True,
        timeout=120,
    )
    assert done.stdout.isascii()
    assert b"<- back" in done.stdout
    assert b"`- * 3  8 + 3 = 11\n" in done.stdout
    assert done.stderr == b""


# ---------------------------------------------------------------------- chat


class Terminal:
    """A real pseudo-terminal with `steiner chat` on it."""

    def __init__(self, model_dir: Path) -> None:
        # As many steps do not fit: the model rambles until it is stopped.
        command = [str(STEINER), "chat", "--model", str(model_dir), "--min-steps", "400"]
        self.child, self._handle = pty.fork()
        if self.child == 0:
            os.environ |= {"TERM": "xterm", "NO_COLOR": "1"}
            os.execv(STEINER, command)
        self._unread = ""

    def wait_for(self, text: str, timeout_s: float = 120.0) -> None:
        """Reads on until, and with, `text`."""
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


@pytest.fixture
def terminal(model_dir: Path) -> Iterator[Terminal]:
    opened = Terminal(model_dir)
    yield opened
    with suppress(ProcessLookupError):
        os.kill(opened.child, 9)


def test_chat_is_stopped_and_goes_on(terminal: Terminal, question: str) -> None:
    terminal.wait_for("\n> ")
    terminal.type("/help\n")
    terminal.wait_for("Ctrl-D   end the chat")
    for asked in ("Who are you?", question):
        terminal.type(f"{asked}\n")
        terminal.wait_for("current understanding")
        terminal.type("\x03")
        terminal.wait_for("stopped")
        terminal.wait_for("\n> ")
    terminal.type("\x04")
    assert terminal.exit_code() == 0


def test_chat_keeps_its_turns_until_it_is_reset(
    model_dir: Path,
    question: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [question, question, "/reset", question, "/what", " ", "Who? " * 2000, question]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    assert cli.main(["chat", "--model", str(model_dir), "--max-steps", "3"]) == 0
    shown = capsys.readouterr().out
    read = [int(count) for count in re.findall(r"tokens: (\d+) question", shown)]
    assert len(read) == 4
    assert read[0] == read[2] < read[1] == read[3]
    assert "unknown command /what" in shown
    assert "error: the dialogue takes" in shown
