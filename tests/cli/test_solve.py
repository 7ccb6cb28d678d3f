"""`steiner solve` with one question: text, JSON, standard input, an output file, Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from steiner import Reasoner
from steiner.cli.answer_summary import summary_lines
from steiner.cli.main import main
from steiner.cli.style import Style
from steiner.format.codec import Codec
from steiner.inference.answer import STOP_NOTES
from steiner.inference.step_events import Component
from steiner.types import SearchPath, StopReason
from tests.cli.conftest import Solve
from tests.lora_training import LORA, train_lora

STEINER = Path(sys.executable).with_name("steiner")


def _type(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Makes `content` the standard input."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


def test_steps_tree_answer_and_check_are_shown(
    solve: Solve, question: str, known_path: SearchPath
) -> None:
    shown = solve(question).stdout
    assert known_path.steps[0].texts.understanding in shown
    for step in known_path.steps[1:]:
        for component in Component:
            text = getattr(step.texts, component)
            assert re.search(rf"^ .*{component.label} +{re.escape(text)}", shown, re.MULTILINE)
    assert shown.count("↩ back\n") == 2
    assert shown.count("(again from the question)") == 2
    assert f"answer   {known_path.answer}\n" in shown
    assert "how I read it          Numbers 8 4 3, target 15\n" in shown
    assert "read as  Numbers 8 4 3, target 15\nchecked  ★ right (countdown)\n" in shown
    assert shown.count("├─ ✗ ") == 2
    assert "└─ ● 1  Numbers 8 4 3, target 15\n" in shown
    assert "└─ ★ 4  4 + 3 = 7\n" in shown
    assert "4 steps · 2 backtracks · tokens: " in shown
    assert "\033" not in shown


def test_an_adapter_is_asked_as_a_model(
    model_dir: Path,
    question: str,
    known_path: SearchPath,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = Codec(Reasoner.load(model_dir).vocabulary).encode_path(known_path).token_ids
    merged = train_lora(model_dir, tmp_path / "sft", replace(LORA, adam_lr=0.001), row)
    shown = []
    for folder in (merged / "adapter", merged):
        options = ("--model", str(folder), "--temperature", "0", "--json")
        assert main(["solve", question, *options]) == 0
        shown.append(json.loads(capsys.readouterr().out))
        assert Reasoner.load(folder).solve(question, temperature=0.0).text == known_path.answer
    assert shown[0] == shown[1]


def test_question_of_no_known_kind_is_not_shown_as_solved(solve: Solve) -> None:
    shown = solve("Who are you?", "--max-steps", "1", "--max-tokens", "200").stdout
    (line,) = [line for line in shown.splitlines() if line.startswith("checked")]
    assert line == "checked  ◆ misread: this is not what the question says; nothing is verified"
    assert "★" not in shown


@pytest.mark.parametrize(("reason", "note"), STOP_NOTES.items())
def test_stop_before_an_answer_is_explained(
    reason: StopReason, note: str, model_dir: Path, question: str
) -> None:
    answer = Reasoner.load(model_dir).solve(question, max_steps=1)
    stopped = replace(answer, text="", stop_reason=reason)
    lines = list(summary_lines(stopped, Style(colour=False, unicode=True)))
    assert "answer   (nothing)" in lines
    assert f"stopped  {note}" in lines


@pytest.mark.parametrize(("options", "said"), [((), False), (("--max-steps", "2"), True)])
def test_a_search_that_the_step_limit_ended_says_so(
    solve: Solve, question: str, options: tuple[str, ...], said: bool
) -> None:
    assert ("stopped  by the limit of 2 steps\n" in solve(question, *options).stdout) is said


def test_the_last_step_that_is_allowed_may_end_by_itself(solve: Solve, question: str) -> None:
    shown = solve(question, "--max-steps", "4").stdout
    assert "4 steps" in shown
    assert "stopped" not in shown


def test_samples_are_counted_and_vote(solve: Solve, question: str, known_path: SearchPath) -> None:
    shown = solve(question, "--samples", "3", "--temperature", "0.1").stdout
    assert "  3 of 3  " in shown
    assert f"votes     3 of 3  {known_path.answer}\nanswer   {known_path.answer}\n" in shown
    assert "2 backtracks · tokens of all 3 samples: " in shown


def test_json_is_one_object(solve: Solve, question: str, known_path: SearchPath) -> None:
    record = json.loads(solve(question, "--json").stdout)
    assert record["answer"] == known_path.answer
    assert record["accepted"] is True
    assert record["misread"] is False
    assert record["family"] == "countdown"
    assert [step["mark"] for step in record["steps"]] == [
        "proceed",
        "dead_end",
        "dead_end",
        "goal",
    ]
    assert record["steps"][0]["verification"] == known_path.steps[0].texts.verification
    assert record["usage"]["total_tokens"] == sum(
        record["usage"][f"{part}_tokens"] for part in ("prompt", "reasoning", "answer")
    )


def test_json_stream_is_one_event_per_line(solve: Solve, question: str) -> None:
    lines = solve(question, "--json", "--stream").stdout.splitlines()
    events = [json.loads(line) for line in lines]
    assert events[0] == {"event": "step_started", "sample": 0, "step": 0}
    assert events[-1]["event"] == "finished"
    assert {"step_placed", "component_finished", "sample_finished"} < {e["event"] for e in events}


def test_dash_reads_the_question_from_standard_input(
    solve: Solve, question: str, known_path: SearchPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    _type(monkeypatch, f"\ufeff{question}\n".encode())
    record = json.loads(solve("-", "--json").stdout)
    assert record["answer"] == known_path.answer


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "the question is empty"),
        (b" \n\n", "the question is empty"),
        (b"caf\xe9", "standard input is not UTF-8 text: byte 3 is 0xe9"),
        (b"\x7fELF\0\0", "standard input is binary, not text"),
        (b"a" * 1_000_001, "standard input has more than 1,000,000 bytes"),
        (b"a " * 5000, "the dialogue takes"),
    ],
)
def test_standard_input_that_is_no_question_is_refused(
    content: bytes, line: str, solve: Solve, monkeypatch: pytest.MonkeyPatch
) -> None:
    _type(monkeypatch, content)
    done = solve("-")
    first, second = done.stderr.splitlines()
    assert (done.exit_code, done.stdout) == (2, "")
    assert line in first
    assert second.startswith("hint: ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "no question"),
        ([""], "the question is empty"),
        (["caf\udce9"], "the question is not UTF-8 text"),
        (["Who?", "--stream"], "--stream goes with --json"),
        (["Who?", "--effort", "lo"], "unknown effort 'lo'"),
        (
            ["Who?", "--output", "nowhere/answer.txt"],
            "cannot write nowhere/answer.txt: no such file",
        ),
        (["Who?", "--output", "."], "cannot write .: this is a folder"),
    ],
)
def test_bad_input_is_one_line_and_a_hint(arguments: list[str], line: str, solve: Solve) -> None:
    done = solve(*arguments)
    first, second = done.stderr.splitlines()
    assert (done.exit_code, done.stdout) == (2, "")
    assert line in first
    assert second.startswith("hint: ")


def test_output_goes_to_the_file_as_plain_text(
    solve: Solve, question: str, known_path: SearchPath, tmp_path: Path
) -> None:
    done = solve(question, "--output", tmp_path / "answer.txt")
    written = (tmp_path / "answer.txt").read_text(encoding="utf-8")
    assert done.stdout == ""
    assert f"answer   {known_path.answer}\n" in written
    assert "\033" not in written


def test_output_is_ascii_if_the_encoding_is(model_dir: Path, question: str) -> None:
    done = subprocess.run(
        [STEINER, "solve", question, "--model", model_dir],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        check=True,
        timeout=120,
    )
    assert done.stdout.isascii()
    assert b"<- back" in done.stdout
    assert b"`- * 4  4 + 3 = 7\n" in done.stdout
    assert done.stderr == b""
