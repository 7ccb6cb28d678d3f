"""The `steiner` command: one executable, subcommands in the order of the pipeline.

arguments -> calls of the other modules; results to stdout, progress and errors to stderr

Whatever is slow to import is imported by the command that needs it, so that --help answers at once.
Exit codes: 0 done, 1 the run failed, 2 the input was at fault, 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from steiner import __version__
from steiner.recipe import Recipe
from steiner.types import SteinerError, UserError

if TYPE_CHECKING:
    from steiner.cli.solve import Form
    from steiner.cli.solve_options import Ask

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
    _add_chat(commands)
    _add_serve(commands)
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
    if name not in ("solve", "chat", "serve"):
        parser.add_argument("--force", action="store_true", help="make it anew though unchanged")
    return parser


def _add_solve(commands: argparse._SubParsersAction[_Parser]) -> None:
    solve = _add(commands, "solve", _solve, "answer one question, showing each step")
    solve.example = 'steiner solve "Make 15 from 8, 4, 3."'
    solve.add_argument("question", metavar="QUESTION")
    _add_ask(solve)
    solve.add_argument("--json", action="store_true", help="one JSON object, for programs")
    solve.add_argument(
        "--stream", action="store_true", help="with --json: a line for each event, as it happens"
    )


def _add_chat(commands: argparse._SubParsersAction[_Parser]) -> None:
    chat = _add(commands, "chat", _chat, "a dialogue on the terminal")
    chat.example = "steiner chat --effort high      # Ctrl-C stops an answer, Ctrl-D ends the chat"
    _add_ask(chat)


def _add_serve(commands: argparse._SubParsersAction[_Parser]) -> None:
    from steiner.serving.settings import Settings

    default = Settings()
    serve = _add(commands, "serve", _serve, "an OpenAI-compatible server, and the page")
    serve.example = "steiner serve --model runs/tiny/rl    # then open http://127.0.0.1:8000"
    serve.add_argument("--model", metavar="MODEL", help="a model folder or hub name")
    serve.add_argument("--name", default=default.name, help="what clients call it (%(default)s)")
    serve.add_argument("--host", default="127.0.0.1", help="0.0.0.0: every network (%(default)s)")
    serve.add_argument("--port", type=int, default=8000, metavar="N", help="0: any (%(default)s)")
    serve.add_argument("--api-key", metavar="KEY", help="default: STEINER_API_KEY, else none")
    most = "tokens of a dialogue and its answer (the model's own)"
    serve.add_argument("--max-length", type=int, metavar="N", help=most)
    limits = {
        "max_batch": "completions that run at once",
        "max_waiting": "completions that may wait; more are refused",
        "max_body_bytes": "longest body of a request",
        "time_limit_s": "seconds that a completion may take",
    }
    for name, meaning in limits.items():
        value = getattr(default, name)
        flag, shown = f"--{name.replace('_', '-')}", f"{meaning} (%(default)s)"
        serve.add_argument(flag, type=type(value), default=value, metavar="N", help=shown)


def _add_ask(parser: _Parser) -> None:
    """The options that say which model answers, and how hard it tries."""
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="a model folder or hub name; default: the rl folder of the run, else the newest",
    )
    parser.add_argument(
        "--effort", metavar="LEVEL", help="low, medium or high: at most 4, 12 or 32 steps"
    )
    parser.add_argument("--min-steps", type=int, default=0, metavar="N")
    parser.add_argument("--max-steps", type=int, metavar="N", help="in place of --effort")
    parser.add_argument(
        "--max-tokens", type=int, metavar="N", help="default: what the model has room for"
    )
    parser.add_argument(
        "--samples", type=int, default=1, metavar="N", help="of several, the majority decides"
    )
    parser.add_argument(
        "--temperature",
        type=float,
        metavar="T",
        help="0 is greedy; default: what the model asks for, else 0, or 0.7 for several samples",
    )


def _synth(options: argparse.Namespace) -> None:
    _run_stage(options, "synth")


def _pretrain(options: argparse.Namespace) -> None:
    from steiner.pipeline import runs as pipeline

    recipe = _recipe(options)
    pipeline.pretrain(recipe, _run_dir(options, recipe), force=options.force)


def _train(options: argparse.Namespace) -> None:
    from steiner.pipeline import runs as pipeline

    trainings = [stage for stage in pipeline.STAGES if stage.name in ("cpt", "sft", "rl")]
    _run_stage(options, pipeline.stage_named(options.stage, trainings).name)


def _run(options: argparse.Namespace) -> None:
    from steiner.pipeline import runs as pipeline

    recipe = _recipe(options)
    run_dir = _run_dir(options, recipe)
    pipeline.run(recipe, run_dir, force=options.force)
    print(f"model   {run_dir / 'rl'}\nreport  {run_dir / 'report' / 'report.html'}")


def _eval(options: argparse.Namespace) -> None:
    if not options.model:
        _run_stage(options, "evaluate")
        return
    from steiner.pipeline import runs as pipeline

    recipe = _recipe(options)
    models = {model: model for model in options.model}
    pipeline.evaluate_models(recipe, _run_dir(options, recipe), models, force=options.force)


def _report(options: argparse.Namespace) -> None:
    options.force = True  # asked for by name, and made in seconds
    _run_stage(options, "report")


def _solve(options: argparse.Namespace) -> None:
    if options.stream and not options.json:
        raise UserError("--stream goes with --json", "steps are shown live without it")
    from steiner.cli.solve import solve

    form: Form = "text"
    if options.json:
        form = "json-lines" if options.stream else "json"
    recipe = _recipe(options)
    model = _model(options, recipe)
    solve(options.question, _ask(options, recipe), model=model, language=recipe.language, form=form)


def _chat(options: argparse.Namespace) -> None:
    from steiner.cli.chat import chat

    recipe = _recipe(options)
    chat(_ask(options, recipe), model=_model(options, recipe), language=recipe.language)


def _serve(options: argparse.Namespace) -> None:
    from steiner.serving.settings import Settings

    recipe = _recipe(options)
    model = _model(options, recipe)
    settings = Settings(
        name=options.name,
        api_key=options.api_key or os.environ.get("STEINER_API_KEY", ""),
        language=recipe.language,
        max_batch=options.max_batch,
        max_waiting=options.max_waiting,
        max_length=options.max_length,
        time_limit_s=options.time_limit_s,
        max_body_bytes=options.max_body_bytes,
    )
    from steiner.serving.server import serve

    serve(model, settings, options.host, options.port)


def _ask(options: argparse.Namespace, recipe: Recipe) -> Ask:
    from steiner.cli.solve_options import Ask

    return Ask(
        min_steps=options.min_steps,
        max_steps=options.max_steps,
        max_tokens=options.max_tokens,
        effort=options.effort,
        samples=options.samples,
        temperature=options.temperature,
        seed=recipe.seed,
    )


def _model(options: argparse.Namespace, recipe: Recipe) -> str:
    from steiner.cli.solve_options import find_model

    return options.model or find_model(_run_dir(options, recipe))


def _run_stage(options: argparse.Namespace, name: str) -> None:
    from steiner.pipeline import runs as pipeline

    recipe = _recipe(options)
    pipeline.run(recipe, _run_dir(options, recipe), only=name, force=options.force)


def _recipe(options: argparse.Namespace) -> Recipe:
    """The recipe that the options name, its families and levels checked."""
    from steiner.recipe_file import load_recipe
    from steiner.tasks import task

    recipe = load_recipe(options.recipe, options.overrides)
    if not recipe.problems.levels:
        hint = "give each its level: [problems.levels] countdown = 1"
        raise UserError(f"recipe {recipe.name} names no problem family", hint)
    for name, level in recipe.problems.levels.items():
        levels = task(name).generator.levels
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
    """One line for the operating system's errors about files; any other error is a bug."""
    from steiner.files import disk_error

    clear = disk_error(error, Path(error.filename or "."))
    if clear is None or error.errno == errno.ENOENT:  # a missing file of our own is a bug
        raise error
    return _fail(str(clear), clear.hint, clear.exit_code)
