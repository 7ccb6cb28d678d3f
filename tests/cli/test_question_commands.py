"""`steiner questions check`, and own questions from the command line to a recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steiner.cli.main import main
from steiner.questions.presets import suite_settings
from steiner.recipe_file import load_recipe


def _file(folder: Path) -> Path:
    file = folder / "mine.jsonl"
    rows = [{"question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(40)]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def test_check_prints_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["questions", "check", str(_file(tmp_path)), "--grader", "number"]) == 0
    output = capsys.readouterr().out
    assert "40 rows, 40 questions" in output
    assert "accepts 40 of 40" in output


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("x = 1", "defines no function `grade`"),
        ("def grade(:", "fails: SyntaxError"),
        ("import no_such_package", "No module named 'no_such_package'"),
    ],
)
def test_a_grader_that_cannot_be_used_is_one_line_and_a_hint(
    tmp_path: Path, program: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    grader = tmp_path / "mine.py"
    grader.write_text(program, encoding="utf-8")
    assert main(["questions", "check", str(_file(tmp_path)), "--grader", str(grader)]) == 2
    assert says in (error := capsys.readouterr().err)
    assert error.count("error:") == 1
    assert "hint: " in error


def test_check_counts_answers_that_the_grader_fails_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grader = tmp_path / "fails.py"
    grader.write_text("def grade(question, answer, known):\n    return 1 / (int(answer) % 4)")
    assert main(["questions", "check", str(_file(tmp_path)), "--grader", str(grader)]) == 0
    output = capsys.readouterr().out
    assert "accepts 30 of 40" in output
    assert "10 not graded: fails.py: the grader raised an error" in output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["questions", "check", "FILE", "--grader", "nonsense"], "unknown grader 'nonsense'"),
        (["questions", "check", "nowhere.jsonl"], "no file of questions nowhere.jsonl"),
        (["synth", "--questions", "FILE", "--out", "OUT"], "no search path from"),
        (["synth", "--questions", "FILE", "--preview", "--out", "OUT"], "no teacher is named"),
        (["synth", "--preview", "--out", "OUT"], "a preview is of own questions"),
        (["synth", "--task", "gym:chain_sum", "--out", "OUT"], "no search path from gym:chain_sum"),
        (["synth", "--task", "gym:chain_sum", "--out", "OUT"], "steiner train rl --task NAME"),
        (["synth", "--task", "gym:nothing", "--out", "OUT"], "has no data set 'nothing'"),
        (
            ["synth", "--questions", "FILE", "--teacher-url", "ftp://x", "--out", "OUT"],
            "teacher.url is 'ftp://x'",
        ),
        (
            ["synth", "--questions", "FILE", "--teacher", "no/where", "--out", "OUT"],
            "no folder no/where",
        ),
    ],
)
def test_bad_input_is_one_line_and_a_hint(
    tmp_path: Path,
    arguments: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    named = {"FILE": str(_file(tmp_path)), "OUT": str(tmp_path / "run")}
    assert main([named.get(argument, argument) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("error:") == 1
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("suite", "wanted"),
    [
        ("gsm8k", {"test": "openai/gsm8k", "grader": "number", "hub_config": "main"}),
        ("gsm8k:data/test.jsonl", {"test": "data/test.jsonl", "answer_after": "####"}),
        ("bbh:date_understanding", {"grader": "choice", "hub_config": "date_understanding"}),
        (
            "bbh:data/web_of_lies.json",
            {"grader": "text", "question": "input", "name": "web_of_lies"},
        ),
        ("other.jsonl", {"test": "other.jsonl", "name": "other", "grader": "text"}),
    ],
)
def test_suites_are_settings_of_the_recipe(suite: str, wanted: dict[str, str]) -> None:
    recipe = load_recipe("questions", suite_settings(suite))
    assert {key: getattr(recipe.questions, key) for key in wanted} == wanted
    assert recipe.problems.levels == {recipe.questions.name: 1}
