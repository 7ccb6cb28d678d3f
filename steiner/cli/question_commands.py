"""The commands for own questions: `questions check` and `inspect`.

steiner questions check mine.jsonl --grader number
steiner inspect runs/mine
"""

from __future__ import annotations

import argparse
from pathlib import Path

from steiner.cli.parser import Commands, Parser, add_command, suggestion
from steiner.types import UserError


def add_commands(commands: Commands[Parser]) -> None:
    """Adds the commands of this module."""
    check = add_command(
        commands,
        "questions",
        _check,
        summary="check a file of your own questions",
        example="steiner questions check mine.jsonl --grader number",
    )
    check.add_argument("action", type=_action, metavar="check")
    check.add_argument("source", metavar="FILE", help="the file, or owner/name on the Hub")
    check.add_argument(
        "--grader",
        default="text",
        metavar="NAME|FILE",
        help="text (default), number, choice, math, regex or a Python file",
    )
    check.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="another key of [questions], such as questions.answer=solution for the column, or "
        "questions.answer_after='####' if the answer ends a longer text; repeatable",
    )
    inspect = add_command(
        commands,
        "inspect",
        _inspect,
        summary="one page with the DAGs, paths and texts of a run's training data",
        example="steiner inspect runs/mine                # writes runs/mine/inspect.html",
    )
    inspect.add_argument("folder", type=Path, metavar="RUN", help="a run folder with synth/ in it")
    inspect.add_argument(
        "--problems", type=int, default=20, metavar="N", help="number of problems (20)"
    )


def _action(word: str) -> str:
    """The type of the word after `questions`."""
    if word != "check":
        hint = suggestion(word, ["check"]) or "write `steiner questions check FILE`"
        raise UserError(f"unknown action '{word}' of steiner questions", hint)
    return word


def _check(options: argparse.Namespace) -> None:
    import json

    from steiner.questions.check import check_report
    from steiner.recipe_file import load_recipe

    overrides = [f"questions.source={json.dumps(options.source)}"]
    overrides.append(f"questions.grader={json.dumps(options.grader)}")
    print(check_report(load_recipe("questions", [*overrides, *options.overrides]).questions))


def _inspect(options: argparse.Namespace) -> None:
    from steiner.evaluation.inspect_page import write_inspect_page

    if not (options.folder / "synth").is_dir():
        hint = f"make it with `steiner synth --out {options.folder}`, or name the folder of a run"
        raise UserError(f"no synth/ in {options.folder}", hint)
    print(write_inspect_page(options.folder, options.problems))
