"""The commands that ask a model in the terminal: solve and chat.

options -> a Reasoner, questions -> text or JSON

    steiner solve "Make 15 from 8, 4, 3."
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from steiner.cli.model_options import add_model_options, chosen_model, load_reasoner
from steiner.cli.parser import Commands, Parser, add_command
from steiner.cli.solve_options import add_solve_options, solve_options
from steiner.files import reason_and_hint
from steiner.types import UserError

if TYPE_CHECKING:
    from steiner.cli.solve import OutputFormat
    from steiner.inference.reasoner import Reasoner


def add_commands(commands: Commands[Parser]) -> None:
    """Adds the commands of this module."""
    solve = add_command(
        commands,
        "solve",
        _solve,
        summary="answer a question, showing each step",
        example='steiner solve "Make 15 from 8, 4, 3."',
    )
    solve.add_argument(
        "question", nargs="?", metavar="QUESTION", help="the question; - reads standard input"
    )
    solve.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        help='answer many questions at once, one per line: {"question": "..."}, '
        '{"messages": [...]} or plain text; writes JSON lines',
    )
    add_model_options(solve)
    add_solve_options(solve)
    solve.add_argument("--json", action="store_true", help="print one JSON object")
    solve.add_argument(
        "--stream", action="store_true", help="with --json: print a line for each event"
    )
    solve.add_argument(
        "--output", type=Path, metavar="FILE", help="write to this file instead of the terminal"
    )
    chat = add_command(
        commands,
        "chat",
        _chat,
        summary="a dialogue in the terminal",
        example="steiner chat --effort high      # Ctrl-C stops an answer, Ctrl-D ends the chat",
    )
    add_model_options(chat)
    add_solve_options(chat)


def _solve(options: argparse.Namespace) -> None:
    _require_one_question(options)
    if options.file is None:
        _solve_question(options)
    else:
        _solve_file(options)


def _require_one_question(options: argparse.Namespace) -> None:
    """Raises UserError for options that contradict each other."""
    if options.question is not None and options.file is not None:
        raise UserError("both a question and --file are given", "give one of them")
    if options.question is None and options.file is None:
        hint = "give it in quotes, - to read standard input, or --file FILE for many"
        raise UserError("no question", hint)
    if options.stream and options.file is not None:
        hint = "leave out --stream: each answer is written when it is finished"
        raise UserError("--stream is for one question, not for --file", hint)
    if options.stream and not options.json:
        raise UserError("--stream goes with --json", "without --json, steps are shown live")


def _solve_question(options: argparse.Namespace) -> None:
    from steiner.cli.question_input import read_question
    from steiner.cli.solve import solve

    question = read_question(options.question)
    output_format: OutputFormat = "text"
    if options.json:
        output_format = "json-lines" if options.stream else "json"
    reasoner = _load(options)
    with _open_output(options.output) as output:
        solve(question, solve_options(options), reasoner, output, output_format)


def _solve_file(options: argparse.Namespace) -> None:
    from steiner.cli.question_input import is_question_file, read_question_file
    from steiner.cli.solve_file import solve_file

    lines = read_question_file(options.file)
    output: Path | None = options.output
    if output and output.exists() and is_question_file(output, options.file):
        raise UserError(f"--output would overwrite the questions in {output}", "name another file")
    reasoner = _load(options)
    with _open_output(output) as stream:
        solve_file(lines, solve_options(options), reasoner, stream)


def _chat(options: argparse.Namespace) -> None:
    from steiner.cli.chat import chat

    chat(_load(options), solve_options(options), title=chosen_model(options))


def _load(options: argparse.Namespace) -> Reasoner:
    return load_reasoner(chosen_model(options), notices=sys.stderr)


@contextmanager
def _open_output(path: Path | None) -> Iterator[TextIO]:
    """Yields stdout, or the file at `path`. Raises UserError if it cannot be written."""
    if path is None:
        yield sys.stdout
        return
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        reason, hint = reason_and_hint(error, writing=True)
        raise UserError(f"cannot write {path}: {reason}", hint) from error
    with file:
        yield file
