"""The entry point of `steiner`: parses the arguments, runs one command, and reports its errors.

arguments -> results on stdout, progress and errors on stderr, an exit code

The command modules import slow libraries inside functions, so `steiner --help` answers at once.
Exit codes: 0 success, 1 the run failed, 2 the input was wrong, 130 interrupted, 141 broken pipe.
"""

from __future__ import annotations

import argparse
import errno
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from steiner import __version__
from steiner.cli import (
    export_command,
    pipeline_commands,
    question_commands,
    rollouts_command,
    serve_command,
    solve_commands,
)
from steiner.cli.parser import Parser, Run
from steiner.types import SteinerError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    options = argparse.Namespace()
    # Its advice to fetch a CPU kernel appears wherever trl or peft imports it.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    try:
        options = build_parser().parse(sys.argv[1:] if arguments is None else arguments)
        run: Run = options.run
        run(options)
        sys.stdout.flush()
    except SteinerError as error:
        return _fail(str(error), error.hint, error.exit_code)
    except KeyboardInterrupt as interrupt:
        return _fail("interrupted", str(interrupt) or getattr(options, "interrupt_hint", ""), 130)
    except BrokenPipeError:
        _discard_output()
        return 141
    except OSError as error:
        return _fail_of_disk(error)
    except ModuleNotFoundError as error:
        return _fail_of_package(error)
    return 0


def build_parser() -> Parser:
    """The parser of `steiner`, with its commands in the order of the pipeline."""
    description = "Language models that reason by searching in text."
    parser = Parser("steiner", description=description, allow_abbrev=False)
    parser.example = "steiner run --recipe tiny        # problems in, model and report out"
    parser.add_argument("--version", action="version", version=f"steiner {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    pipeline_commands.add_commands(commands)
    question_commands.add_commands(commands)
    solve_commands.add_commands(commands)
    serve_command.add_command_to(commands)
    export_command.add_command_to(commands)
    rollouts_command.add_command_to(commands)
    return parser


def _fail(message: str, hint: str, exit_code: int) -> int:
    """Prints the error on stderr, one line and a hint."""
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    red, plain = ("\033[31m", "\033[0m") if colour else ("", "")
    print(f"{red}error:{plain} {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    return exit_code


def _fail_of_package(error: ModuleNotFoundError) -> int:
    """Reports a package that is not installed; a missing module of our own is a bug."""
    package = (error.name or "").partition(".")[0]
    if package in ("", "steiner"):
        raise error
    hint = f"pip install {package.replace('_', '-')}, or install steiner again with its packages"
    return _fail(f"the Python package '{package}' is not installed", hint, 1)


def _discard_output() -> None:
    """Sends the rest of the output nowhere, because its reader has closed the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail_of_disk(error: OSError) -> int:
    """One line for the operating system's errors about files; any other error is a bug."""
    from steiner.files import disk_error

    clear = disk_error(error, Path(error.filename or "."))
    if clear is None or error.errno == errno.ENOENT:  # a missing file of our own is a bug
        raise error
    return _fail(str(clear), clear.hint, clear.exit_code)
