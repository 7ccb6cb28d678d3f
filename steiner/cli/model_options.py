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
from steiner.types import UserError

if TYPE_CHECKING:
    from steiner.inference.reasoner import Reasoner

SHIPPED_MODEL = Path(__file__).parent.parent / "assets" / "model"
"""A trained model inside the package; not every installation has one."""
_RUNS = Path("runs")
_STAGE = "rl"
"""The stage of a run whose model answers."""


def add_model_options(parser: Parser) -> None:
    """Adds --model, --run and --language."""
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="a model folder, or owner/name on the Hugging Face Hub; default: the newest run's",
    )
    parser.add_argument(
        "--run",
        type=Path,
        dest="run_dir",
        metavar="DIR",
        help="take the rl model of this run, such as runs/tiny",
    )
    parser.add_argument(
        "--language",
        default="en",
        metavar="CODE",
        help="language in which questions of known kinds are recognised (%(default)s)",
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
    """The trained model of the newest run, or the one in the package. Raises UserError."""
    configs = runs.glob(f"*/{_STAGE}/config.json")
    newest = sorted(configs, key=lambda config: config.stat().st_mtime, reverse=True)
    for config in (*newest, SHIPPED_MODEL / "config.json"):
        if config.is_file():
            return str(config.parent)
    hint = "give a model folder with --model, or make one with 'steiner run'"
    raise UserError(f"no trained model in {runs.absolute()}", hint)


def load_reasoner(
    model: str, *, language: str, recognise: bool = True, notices: TextIO
) -> Reasoner:
    """Loads the model; a terminal shows a notice meanwhile."""
    from steiner.tasks.phrases import require_language

    if recognise:
        require_language(language)
    with _notice(f"loading {model} ...", notices):
        from steiner.inference.answer import recognise_question
        from steiner.inference.reasoner import Reasoner

        recogniser = recognise_question if recognise else None
        return Reasoner.load(model, language=language, recognise=recogniser)


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
