"""The argument parser: help starts with an example, and errors suggest the nearest right word.

arguments -> argparse.Namespace with `run`, the function of the chosen command
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import NoReturn

from steiner.types import UserError

Run = Callable[[argparse.Namespace], None]
"""The function of a command."""

_REQUIRED = "the following arguments are required: "
"""How argparse begins its message about missing arguments."""
_UNITS = " KMGT"
_SIZE = re.compile(rf"(\d+(?:\.\d+)?)\s*([{_UNITS.strip()}])(i?)B", re.IGNORECASE)


class Parser(argparse.ArgumentParser):
    """Replaces `format_help`, to start with an example, and `error`, to raise a UserError."""

    example: str = ""

    def format_help(self) -> str:
        """The example, then argparse's own text."""
        example = f"Example:\n  {self.example}\n\n" if self.example else ""
        return example + super().format_help()

    def error(self, message: str) -> NoReturn:
        """Raises UserError with argparse's message, and an example where arguments are missing."""
        missing = message.removeprefix(_REQUIRED)
        if missing != message:
            example = self.example.partition("  #")[0].strip()
            raise UserError(f"missing after '{self.prog}': {missing}", f"for example: {example}")
        raise UserError(message, f"see '{self.prog} --help'")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parses `arguments`. Raises UserError with the nearest command or option if one is wrong.

        Only the parser of the program has this; its commands are parsed by argparse.
        """
        if arguments and not arguments[0].startswith("-"):
            self._require_command(arguments[0])
        options, unknown = self.parse_known_args(arguments)
        if unknown:
            parser: Parser = getattr(options, "parser", self)
            raise parser.unknown_argument(unknown[0])
        if not hasattr(options, "run"):
            raise UserError("no command", f"see '{self.prog} --help'")
        return options

    def _require_command(self, name: str) -> None:
        known = command_parsers(self)
        if name not in known:
            hint = suggestion(name, known) or f"see '{self.prog} --help'"
            raise UserError(f"unknown command '{name}'", hint)

    def unknown_argument(self, argument: str) -> UserError:
        """The error for an argument that this parser does not have."""
        see = f"see '{self.prog} --help'"
        if not argument.startswith("-"):
            return UserError(f"unexpected argument '{argument}'", f"{see}; quote text with spaces")
        option = argument.partition("=")[0]
        known = [name for action in self._actions for name in action.option_strings]
        return UserError(f"unknown option {option}", suggestion(option, known) or see)


Commands = argparse._SubParsersAction  # argparse has no public name for it


def add_command(
    commands: Commands[Parser], name: str, run: Run, *, summary: str, example: str
) -> Parser:
    """Adds a command that calls `run` with its options."""
    parser = commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
    parser.example = example
    parser.set_defaults(run=run, parser=parser)
    return parser


def command_parsers(parser: Parser) -> dict[str, Parser]:
    """The parser of each command, by name."""
    for action in parser._actions:
        if isinstance(action, Commands):
            return dict(action.choices)
    return {}


def suggestion(word: str, known: Iterable[str]) -> str:
    """A hint such as "did you mean 'solve'?"; empty if no known word is near."""
    near = get_close_matches(word, list(known), n=1)
    return f"did you mean '{near[0]}'?" if near else ""


def whole_number(text: str) -> int:
    """The type of an option that takes a whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number") from None


def number(text: str) -> float:
    """The type of an option that takes a number."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number") from None


def size(text: str) -> int:
    """The type of an option that takes an amount of memory, such as 2GB or 1.5GiB; in bytes."""
    found = _SIZE.fullmatch(text.strip())
    base = 1024 if found and found[3] else 1000
    num_bytes = int(float(found[1]) * base ** _UNITS.index(found[2].upper())) if found else 0
    if num_bytes < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a size such as 500MB, 2GB or 1.5GiB")
    return num_bytes
