"""The `steiner` command: one executable, subcommands in the order of the pipeline.

arguments -> calls of the other modules; results to stdout, progress and errors to stderr

Whatever is slow to import is imported by the command that needs it, so that --help answers at once.
Exit codes: 0 done, 1 the run failed, 2 the input was at fault, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from steiner import __version__
from steiner.recipe import Recipe
from steiner.types import SteinerError, UserError

Command = Callable[[argparse.Namespace], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        options = _parser().parse_args(arguments)
        command: Command = options.command
        command(options)
        sys.stdout.flush()
    except SteinerError as error:
        return _fail(str(error), error.hint, error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted", "the same command goes on where this one stopped", 130)
    except BrokenPipeError:
        _discard_output()
        return 141
    except OSError as error:
        return _fail_of_disk(error)
    return 0


class _Parser(argparse.ArgumentParser):
    """Replaces `format_help`, to begin with an example, and `error`, to fail in our own words."""

    example: str = ""

    def format_help(self) -> str:
        example = f"Example:\n  {self.example}\n\n" if self.example else ""
        return example + super().format_help()

    def error(self, message: str) -> NoReturn:
        raise UserError(message, f"see '{self.prog} --help'")


def _parser() -> _Parser:
    parser = _Parser("steiner", description="Language models that reason by searching in text.")
    parser.example = "steiner run --recipe tiny        # problems in, model and report out"
    parser.add_argument("--version", action="version", version=f"steiner {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    synth = _add(commands, "synth", _synth, "problems -> reasoning DAGs -> paths")
    synth.example = "steiner synth --set synth.dags=500 --set synth.paths=2000 --out runs/mine"
    pretrain = _add(commands, "pretrain", _pretrain, "an embedded base model from nothing")
    pretrain.example = "steiner pretrain --set base.tokens=2000000    # into runs/tiny/base"
    train = _add(commands, "train", _train, "one training stage: cpt, sft or rl")
    train.example = "steiner train rl --set rl.steps=100 --out runs/mine"
    train.add_argument("stage", metavar="STAGE", help="cpt, sft or rl")
    run = _add(commands, "run", _run, "all of it, resumable")
    run.example = "steiner run --recipe smoke       # again: redoes only what is missing or changed"
    evaluate = _add(commands, "eval", _eval, "accuracy at each step budget")
    evaluate.example = "steiner eval --model runs/mine/rl --set eval.samples=4"
    evaluate.add_argument(
        "--model",
        action="append",
        metavar="MODEL",
        help="a model folder or hub name in place of the run's own stages; repeatable",
    )
    report = _add(commands, "report", _report, "one HTML page and results.json")
    report.example = "steiner report --out runs/tiny"
    _add_solve(commands)
    return parser


def _add(
    commands: argparse._SubParsersAction[_Parser], name: str, command: Command, summary: str
) -> _Parser:
    """A subcommand with the options that all of them share."""
    parser = commands.add_parser(name, help=summary, description=summary)
    parser.set_defaults(command=command)
    parser.add_argument(
        "--recipe",
        default="tiny",
        metavar="NAME|FILE",
        help="tiny (default), smoke, small or a file",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="change one key of the recipe, such as rl.steps=10; repeatable",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="default: runs/<name of the recipe>"
    )
    if name != "solve":
        parser.add_argument("--force", action="store_true", help="make it anew though unchanged")
    return parser


def _add_solve(commands: argparse._SubParsersAction[_Parser]) -> None:
    solve = _add(commands, "solve", _solve, "answer one question, showing each step")
    solve.example = 'steiner solve "Use 3, 5 and 8, each once, to make 16."'
    solve.add_argument("question", metavar="QUESTION")
    solve.add_argument("--model", metavar="MODEL", help="default: the rl folder of the run")
    solve.add_argument("--min-steps", type=int, default=0, metavar="N")
    solve.add_argument(
        "--max-steps", type=int, metavar="N", help="default: the recipe's rl.max_steps"
    )
    solve.add_argument("--temperature", type=float, default=0.0, metavar="T", help="0 is greedy")


def _synth(options: argparse.Namespace) -> None:
    _run_stage(options, "synth")


def _pretrain(options: argparse.Namespace) -> None:
    from steiner import pipeline

    recipe = _recipe(options)
    pipeline.pretrain(recipe, _run_dir(options, recipe), force=options.force)


def _train(options: argparse.Namespace) -> None:
    from steiner import pipeline

    trainings = [stage for stage in pipeline.STAGES if stage.name in ("cpt", "sft", "rl")]
    _run_stage(options, pipeline.stage_named(options.stage, trainings).name)


def _run(options: argparse.Namespace) -> None:
    from steiner import pipeline

    recipe = _recipe(options)
    run_dir = _run_dir(options, recipe)
    pipeline.run(recipe, run_dir, force=options.force)
    print(f"model   {run_dir / 'rl'}\nreport  {run_dir / 'report' / 'report.html'}")


def _eval(options: argparse.Namespace) -> None:
    if not options.model:
        _run_stage(options, "evaluate")
        return
    from steiner import pipeline

    recipe = _recipe(options)
    models = {model: model for model in options.model}
    pipeline.evaluate_models(recipe, _run_dir(options, recipe), models, force=options.force)


def _report(options: argparse.Namespace) -> None:
    options.force = True  # asked for by name, and made in seconds
    _run_stage(options, "report")


def _solve(options: argparse.Namespace) -> None:
    recipe = _recipe(options)
    model = options.model or str(_run_dir(options, recipe) / "rl")
    if not options.model and not Path(model).is_dir():
        raise UserError(f"no model in {model}", "'steiner run' makes one; or name one with --model")
    from steiner.reasoner.solve import solve

    for line in solve(
        options.question,
        model=model,
        language=recipe.language,
        min_steps=options.min_steps,
        max_steps=recipe.rl.max_steps if options.max_steps is None else options.max_steps,
        max_tokens=recipe.eval.max_tokens,
        temperature=options.temperature,
        seed=recipe.seed,
    ):
        print(line, flush=True)


def _run_stage(options: argparse.Namespace, name: str) -> None:
    from steiner import pipeline

    recipe = _recipe(options)
    pipeline.run(recipe, _run_dir(options, recipe), only=name, force=options.force)


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe that the options name, its families and levels checked."""
    from steiner.problems import family
    from steiner.recipe_file import load_recipe

    recipe = load_recipe(options.recipe, options.overrides)
    if not recipe.problems.levels:
        hint = "give each its level: [problems.levels] countdown = 1"
        raise UserError(f"recipe {recipe.name} names no problem family", hint)
    for name, level in recipe.problems.levels.items():
        levels = family(name).levels
        if level not in levels:
            hint = f"levels of {name}: {levels.start} to {levels.stop - 1}"
            raise UserError(f"problems.levels.{name} is {level}", hint)
    return recipe


def _run_dir(options: argparse.Namespace, recipe: Recipe) -> Path:
    chosen: Path | None = options.out
    return Path("runs", recipe.name) if chosen is None else chosen


def _fail(message: str, hint: str, exit_code: int) -> int:
    """Say what was wrong on stderr, in one line and a hint."""
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    red, plain = ("\033[31m", "\033[0m") if colour else ("", "")
    print(f"{red}error:{plain} {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    return exit_code


def _discard_output() -> None:
    """Whoever read our output has gone: let what is left in the buffer go nowhere, quietly."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail_of_disk(error: OSError) -> int:
    """One line for a disk that is full or may not be written to; anything else is our own fault."""
    from steiner.files import disk_full_error, is_disk_full

    place = Path(error.filename or ".")
    if is_disk_full(error, place):
        clear = disk_full_error(place)
        return _fail(str(clear), clear.hint, clear.exit_code)
    if isinstance(error, PermissionError):
        return _fail(f"not allowed to write or read {place}", "name another folder with --out", 1)
    raise error
