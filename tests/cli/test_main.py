"""The real executable: help answers at once, and bad input gets one clear line and a hint."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from traceback import format_exception
from typing import NoReturn

import pytest

from steiner import Reasoner
from steiner.cli import main as cli
from steiner.cli.parser import command_parsers
from steiner.files import locked
from steiner.inference.efforts import EFFORT_STEPS
from steiner.pipeline import runs
from steiner.pipeline.stages import model_stages
from steiner.types import RunError, UserError

STEINER = Path(sys.executable).with_name("steiner")
DOCUMENT = Path(__file__).parents[2] / "docs" / "serving.md"
COMMANDS = tuple(command_parsers(cli.build_parser()))


def _steiner(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"NO_COLOR": "1", "COLUMNS": "100"}
    return subprocess.run(
        [STEINER, *arguments], capture_output=True, text=True, cwd=cwd, env=environment, timeout=60
    )


def test_help_starts_with_an_example_and_lists_the_commands_in_order(tmp_path: Path) -> None:
    done = _steiner("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith("Example:\n  steiner run")
    listing = done.stdout.partition("commands:")[2]
    places = [listing.index(f"  {command}") for command in COMMANDS]
    assert places == sorted(places)
    assert (
        *("synth", "pretrain", "train", "run", "eval", "report", "plan"),
        *("questions", "inspect"),
        *("solve", "chat", "serve", "export", "rollouts"),
    ) == COMMANDS


def test_help_of_solve_lists_every_effort(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["solve", "--help"])
    stated = " ".join(capsys.readouterr().out.split())
    for effort, most in EFFORT_STEPS.items():
        assert f"{effort} {'no limit' if most is None else most}" in stated


def test_the_document_lists_every_option_of_serve() -> None:
    parser = command_parsers(cli.build_parser())["serve"]
    flags = {flag for action in parser._actions for flag in action.option_strings}
    table = DOCUMENT.read_text(encoding="utf-8").split("| option | default |")[1].split("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert set(re.findall(r"`(--[a-z-]+)`", " ".join(cells))) == flags - {"-h", "--help"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_starts_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as finished:
        cli.main([command, "--help"])
    assert finished.value.code == 0
    assert capsys.readouterr().out.startswith(f"Example:\n  steiner {command} ")


@pytest.mark.parametrize("command", COMMANDS)
def test_example_of_each_command_is_accepted_by_its_parser(command: str) -> None:
    import shlex

    example = command_parsers(cli.build_parser())[command].example
    arguments = shlex.split(example, comments=True)[1:]
    cli.build_parser().parse(arguments)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_imports_no_slow_library(command: str, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom steiner.cli.main import main\n"
        "try:\n    main([*sys.argv[1:], '--help'])\nexcept SystemExit:\n    pass\n"
        "slow = {'torch', 'transformers', 'numpy', 'fastapi', 'tqdm'} & set(sys.modules)\n"
        "sys.exit(f'imported: {slow}' if slow else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command.split()], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "line", "hint"),
    [
        (("run", "--set", "sft.token=3"), "unknown key 'sft.token'", "did you mean 'sft.tokens'?"),
        (("run", "--recipe", "tniy"), "unknown recipe 'tniy'", "did you mean 'tiny'?"),
        (("synth", "--set", "problems.levels.jgus=1"), "unknown task 'jgus'", "'jugs'"),
        (("run", "--set", "synth.in_order=['sudoku']"), "unknown task 'sudoku'", "'mini_sudoku'"),
        (("run", "--set", "sft.shares.jgus=1"), "unknown task 'jgus'", "'jugs'"),
        (("run", "--set", "cpt.shares.jgus=1"), "unknown task 'jgus'", "'jugs'"),
        (("synth", "--set", "problems.levels.jugs=99"), "problems.levels.jugs is 99", "1 to "),
        (("run", "--set", "problems.levels={}"), "names no task", "--questions FILE"),
        (("train", "sftt"), "unknown stage 'sftt'", "did you mean 'sft'?"),
        (("train", "synth"), "unknown stage 'synth'", "one of: cpt, sft, rl"),
        (("train", "sft"), "runs/tiny has no finished 'synth'", "steiner synth --out runs/tiny"),
        (
            ("report", "--out", "x/y"),
            "no finished 'synth', which 'report'",
            "steiner run --out x/y",
        ),
        (("questions", "chek", "f"), "unknown action 'chek'", "did you mean 'check'?"),
        (("questions", "mine.jsonl", "f"), "unknown action 'mine.jsonl'", "questions check FILE"),
        (("questions",), "missing after 'steiner questions': check, FILE", "check mine.jsonl"),
        (("train",), "missing after 'steiner train': STAGE", "for example: steiner train rl"),
        (("inspect", "x"), "no synth/ in x", "steiner synth --out x"),
        (("eval", "--suite", "nope"), "unknown suite 'nope'", "gsm8k, bbh:NAME"),
        (("plan", "--set", "sft.tokens=abc"), 'not "abc"', "for example: sft.tokens = "),
        (("solve", "x", "--max-steps", "2", "--min-steps", "5"), "max_steps is 2, below", "raise"),
        (("solve", "x", "--max-steps", "0"), "max_steps is 0", "at least one step"),
        (("serve", "--port", "99999"), "--port is 99999", "0 to 65535"),
        (("sytnh",), "unknown command 'sytnh'", "did you mean 'synth'?"),
        (("xyz",), "unknown command 'xyz'", "steiner --help"),
        ((), "no command", "steiner --help"),
        (("--hepl",), "unknown option --hepl", "did you mean '--help'?"),
        (("eval", "--modle", "x"), "unknown option --modle", "did you mean '--model'?"),
        (("run", "--overwrite"), "unknown option --overwrite", "steiner run --help"),
        (("serve", "--max-batches=3"), "unknown option --max-batches", "'--max-batch'"),
        (("serve", "--port", "x"), "--port: 'x' is not a whole number", "steiner serve --help"),
        (("serve", "--kv-memory", "2"), "'2' is not a size such as", "steiner serve --help"),
        (("solve", "--temperature", "hot"), "'hot' is not a number", "steiner solve --help"),
        (("solve", "Make", "24"), "unexpected argument '24'", "quote text with spaces"),
    ],
)
def test_bad_input_is_one_line_and_a_hint(
    arguments: tuple[str, ...],
    line: str,
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second = captured.err.splitlines()
    assert first.startswith("error: ")
    assert line in first
    assert second.startswith("hint: ")
    assert hint in second
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["solve", "chat", "serve"])
@pytest.mark.parametrize("option", ["--recipe", "--set", "--out"])
def test_options_of_a_recipe_are_unknown_to_commands_that_use_a_model(
    command: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, option, "x"]) == 2
    assert f"unknown option {option}" in capsys.readouterr().err


def test_error_of_the_executable_goes_to_stderr(tmp_path: Path) -> None:
    done = _steiner("sytnh", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "error: unknown command 'sytnh'\nhint: did you mean 'synth'?\n"


def test_train_offers_every_stage_that_has_no_command_of_its_own() -> None:
    from steiner.cli.pipeline_commands import training_stages

    assert training_stages() == ["cpt", "sft", "rl"]


def test_help_of_train_says_what_each_stage_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for stage in model_stages():
        assert f"{stage.name}: {stage.help}" in shown


@pytest.mark.parametrize(
    ("recipe", "command"),
    [
        (["--recipe", "smoke"], 'solve "Make 21 from 9, 6, 3."'),
        (["--recipe", "smoke", "--set", "problems.levels={jugs=1}"], "serve"),
        (["--questions", "mine.jsonl", "--grader", "number"], "serve"),
    ],
)
def test_a_run_ends_with_a_command_that_fits_its_tasks(
    recipe: list[str],
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(runs, "run", lambda *arguments, **options: None)
    monkeypatch.chdir(tmp_path)
    Path("mine.jsonl").write_text('{"question": "How many?", "answer": "1"}\n')
    assert cli.main(["run", *recipe, "--out", "here"]) == 0
    model, report, following = capsys.readouterr().out.splitlines()
    assert model == "model   here/rl"
    assert report == "report  here/report/report.html"
    assert following.startswith("next    ")
    assert following.endswith(f"steiner {command} --model here/rl")


def test_closed_pipe_is_no_error(tmp_path: Path) -> None:
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
        (KeyboardInterrupt(), 130, "hint: the same command continues where this one stopped"),
        (RunError("the server has gone", "start it"), 1, "error: the server has gone"),
        (OSError(errno.ENOSPC, "No space left", "/runs/x"), 1, "error: no space left on the disk"),
        (PermissionError(errno.EACCES, "no", "/runs/x"), 1, "error: permission denied: /runs/x"),
        (OSError(errno.EBUSY, "busy", "/runs/x"), 1, "error: another program uses this: /runs/x"),
        (OSError(errno.EMLINK, "no", "/runs/x"), 1, "error: Too many links: /runs/x"),
        (FileExistsError(errno.EEXIST, "no", "/runs/x"), 1, "not a folder: /runs/x"),
        (ModuleNotFoundError("no", name="uvicorn.config"), 1, "package 'uvicorn' is not installed"),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_failures_are_one_line(
    error: BaseException,
    exit_code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(runs, "run", _raising(error))
    monkeypatch.setattr(cli, "_discard_output", lambda: None)  # it would close pytest's own stdout
    assert cli.main(["run"]) == exit_code
    stderr = capfd.readouterr().err
    assert line in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "gone", "x"),
        ModuleNotFoundError("no", name="steiner.nothing"),
    ],
)
def test_bugs_keep_their_traceback(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "run", _raising(error))
    with pytest.raises(type(error)):
        cli.main(["run"])


def test_a_hint_is_shown_once_by_python_and_by_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(UserError) as caught:
        Reasoner.load("a/b/c")
    *_, message, hint = "".join(format_exception(caught.value)).splitlines()
    assert message.endswith("UserError: no model folder a/b/c")
    assert hint == f"hint: {caught.value.hint}"
    assert cli.main(["solve", "x", "--model", "a/b/c"]) == 2
    assert capsys.readouterr().err == f"error: no model folder a/b/c\n{hint}\n"
