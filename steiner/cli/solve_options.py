"""The limits of an answer that solve and chat take from the command line.

options -> SolveOptions, the keyword arguments of Reasoner.solve

An option that is not given is left out, so the Reasoner's own default holds.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from steiner.cli.parser import Parser, number, whole_number
from steiner.inference.efforts import DEFAULT_MAX_TOKENS, EFFORT_STEPS

if TYPE_CHECKING:
    from steiner.inference.questions import SolveOptions

_COUNTS = {
    "min_steps": "fewest reasoning steps",
    "max_steps": "most reasoning steps; wins over --effort, except none; default: no limit but "
    "--max-tokens (Ctrl-C stops)",
    "max_tokens": "tokens of reasoning and answer; default: all that the model has room for, at "
    f"most {DEFAULT_MAX_TOKENS:,}",
    "samples": "answer several times; the majority decides",
    "seed": "decides everything random; default: 0",
}
"""Option that takes a whole number -> help."""


def add_solve_options(parser: Parser) -> None:
    """Adds an option for each limit."""
    parser.add_argument("--effort", metavar="LEVEL", help=_effort_help())
    for name, meaning in _COUNTS.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=whole_number, metavar="N", help=meaning)
    parser.add_argument(
        "--temperature",
        type=number,
        metavar="T",
        help="0 is greedy; default: the model's own, else 0, or 0.7 for several samples",
    )


def _effort_help() -> str:
    steps = {name: "no limit" if most is None else most for name, most in EFFORT_STEPS.items()}
    return f"steps at most: {', '.join(f'{name} {most}' for name, most in steps.items())}"


def solve_options(options: argparse.Namespace) -> SolveOptions:
    """The options that are given."""
    given: SolveOptions = {}
    for name in ("effort", *_COUNTS, "temperature"):
        if (value := getattr(options, name)) is not None:
            given[name] = value  # type: ignore[literal-required]
    return given
