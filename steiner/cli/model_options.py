"""The options that choose a model, for solve, chat and serve: any folder with the 14 tokens.

options, run folders -> model folder or name -> Reasoner
"""

from __future__ import annotations

import argparse
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from steiner.cli.parser import Parser
from steiner.pipeline.stages import model_stages
from steiner.recipe import SHIPPED_REASONER
from steiner.types import UserError

if TYPE_CHECKING:
    from steiner.inference.reasoner import Reasoner

_RUNS = Path("runs")
_STAGE = model_stages()[-1].name
"""The stage of a run whose model answers: the last one."""


def add_model_options(parser: Parser) -> None:
    """Adds --model and --run."""
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="a model folder, or owner/name on the Hugging Face Hub; default: the newest run's,"
        " or the package's own",
    )
    parser.add_argument(
        "--run",
        type=Path,
        dest="run_dir",
        metavar="DIR",
        help=f"take the {_STAGE} model of this run, such as runs/tiny",
    )


def chosen_model(options: argparse.Namespace) -> str:
    """The model that the options name. Raises UserError if there is none."""
    if options.model and options.run_dir:
        raise UserError("both --model and --run are given", "give one of them")
    if options.model:
        return str(options.model)
    return newest_model() if options.run_dir is None else model_of_run(options.run_dir)


def model_of_run(run_dir: Path) -> str:
    """The trained model of a run. Raises UserError if the run has none."""
    folder = run_dir / _STAGE
    if not (folder / "config.json").is_file():
        hint = f"'steiner run --out {run_dir}' makes one; or give a model folder with --model"
        raise UserError(f"no model in {folder}", hint)
    return str(folder)


def newest_model(runs: Path = _RUNS) -> str:
    """The trained model of the newest run, or the one in the package."""
    configs = runs.glob(f"*/{_STAGE}/config.json")
    newest = max(configs, key=lambda config: config.stat().st_mtime, default=None)
    return str(SHIPPED_REASONER if newest is None else newest.parent)


def load_reasoner(model: str, *, notices: TextIO) -> Reasoner:
    """Loads the model; a terminal shows a notice meanwhile."""
    with _notice(f"loading {model} ...", notices):
        from steiner.inference.reasoner import Reasoner

        return Reasoner.load(model)


@contextmanager
def _notice(text: str, notices: TextIO) -> Generator[None, None, None]:
    """Shows a line and removes it at the end; does nothing if the stream is not a terminal."""
    if not notices.isatty():
        yield
        return
    print(text, end="", file=notices, flush=True)
    try:
        yield
    finally:
        print("\r\033[K", end="", file=notices, flush=True)
