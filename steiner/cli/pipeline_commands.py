"""The commands that make models: synth, pretrain, train, run, eval and report.

options -> Recipe, run folder -> pipeline stages

    steiner run --recipe tiny

Stages come from the pipeline's declarations: `steiner train NAME` makes every stage whose output is
a model.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from steiner.cli.parser import Commands, Parser, Run, add_command, whole_number
from steiner.processes import is_first
from steiner.recipe import Recipe
from steiner.types import UserError

_STAGE_OF_COMMAND = {"synth": "synth", "eval": "evaluate", "report": "report"}
"""Command -> the stage that it makes."""


def add_commands(commands: Commands[Parser]) -> None:
    """Adds the commands of this module."""
    synth = _add(
        commands,
        "synth",
        _synth,
        summary="problems or own questions -> reasoning DAGs -> search paths",
        example="steiner synth --questions mine.jsonl --grader number --teacher MODEL",
    )
    synth.add_argument(
        "--preview",
        type=whole_number,
        metavar="N",
        nargs="?",
        const=10,
        help="ask the teacher about N own questions (10), show what it makes and what all would "
        "cost, and write no data; the run that follows does not ask again",
    )
    _add(
        commands,
        "pretrain",
        _pretrain,
        summary="train a small base model, from random weights or, with --base, further",
        example="steiner pretrain --set base.tokens=2000000    # writes runs/tiny/base",
    )
    _add_train(commands)
    _add(
        commands,
        "run",
        _run,
        summary="run all stages; a second run resumes",
        example="steiner run --recipe smoke       # again: makes only what is missing or changed",
    )
    _add_eval(commands)
    _add(
        commands,
        "report",
        _report,
        summary="write one HTML page of the run's results",
        example="steiner report --out runs/tiny",
    )
    _add_plan(commands)


def _add_plan(commands: Commands[Parser]) -> None:
    planned = _add(
        commands,
        "plan",
        _plan,
        summary="memory and time that a recipe needs, before it runs",
        example="steiner plan smollm2-135m --base models/smollm2 --memory 24",
    )
    planned.add_argument("planned", nargs="?", metavar="RECIPE", help="the same as --recipe RECIPE")
    planned.add_argument("--gpus", type=whole_number, default=1, metavar="N", help="devices (1)")
    planned.add_argument(
        "--memory",
        type=float,
        default=0.0,
        metavar="GB",
        help="of each device; default: what is free on this machine, for one device",
    )
    planned.add_argument(
        "--tflops",
        type=float,
        default=0.0,
        metavar="RATE",
        help="rate that training reaches on each; default: measured on this machine",
    )
    planned.add_argument(
        "--bandwidth",
        type=float,
        default=0.0,
        metavar="GB/S",
        help="memory bandwidth of each: adds decoding to RL's time",
    )
    planned.add_argument(
        "--price", type=float, default=0.0, metavar="PRICE", help="of an hour of each: adds costs"
    )
    planned.add_argument(
        "--sharded",
        action="store_true",
        help="spread weights, gradients and optimiser over the devices (FSDP2, ZeRO-3)",
    )


def _add(commands: Commands[Parser], name: str, run: Run, *, summary: str, example: str) -> Parser:
    """Adds a command with the options that all commands of this module share."""
    parser = add_command(commands, name, run, summary=summary, example=example)
    parser.set_defaults(interrupt_hint="the same command continues where this one stopped")
    parser.add_argument(
        "--recipe",
        metavar="NAME|FILE",
        help="tiny (default; questions with --questions, --task or --suite), another one "
        "(docs/training.md), or a TOML file",
    )
    _add_own_questions(parser)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="change one key of the recipe, such as rl.steps=10; repeatable",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="run folder; default: runs/<name of the recipe>"
    )
    parser.add_argument("--force", action="store_true", help="make it again even if unchanged")
    return parser


_SHORT_FORMS = {
    "questions": "questions.source",
    "grader": "questions.grader",
    "teacher": "teacher.model",
    "teacher_url": "teacher.url",
    "teacher_batch": "teacher.batch_command",
    "ray": "teacher.ray",
    "base": "base.model",
}
"""Option -> the key of the recipe that it sets."""


def _add_own_questions(parser: Parser) -> None:
    """Adds short forms for the keys that own questions need."""
    own = parser.add_argument_group("your own questions and base (docs/own-questions.md)")
    own.add_argument("--questions", metavar="FILE|NAME", help="questions with known answers")
    own.add_argument(
        "--grader", metavar="NAME|FILE", help="text, number, choice, math, regex or a Python file"
    )
    own.add_argument("--teacher", metavar="MODEL", help="the model that makes reasoning DAGs")
    own.add_argument("--teacher-url", metavar="URL", help="its OpenAI-compatible API")
    own.add_argument(
        "--teacher-batch",
        metavar="COMMAND",
        help='a command that answers a file of requests, such as "vllm run-batch -i {input} '
        '-o {output} --model {model}"',
    )
    own.add_argument("--ray", metavar="ADDRESS", help="a Ray cluster that runs the teacher")
    own.add_argument(
        "--task",
        action="append",
        default=[],
        metavar="NAME",
        help="a task at level 1: gym:NAME of reasoning-gym, or a Python file; repeatable",
    )
    own.add_argument("--base", metavar="MODEL", help="the model to train: a folder or owner/name")


def _add_train(commands: Commands[Parser]) -> None:
    from steiner.pipeline.stages import model_stages

    stages = model_stages()
    names = ", ".join(stage.name for stage in stages)
    meanings = "; ".join(f"{stage.name}: {stage.help}" for stage in stages)
    train = _add(
        commands,
        "train",
        _train,
        summary=f"run one training stage: {names}",
        example="steiner train rl --set rl.steps=100 --out runs/mine",
    )
    train.add_argument("stage", metavar="STAGE", help=meanings)


def _add_eval(commands: Commands[Parser]) -> None:
    evaluate = _add(
        commands,
        "eval",
        _eval,
        summary="measure accuracy at each step budget",
        example="steiner eval --model runs/mine/rl --set eval.samples=4",
    )
    evaluate.add_argument(
        "--model",
        action="append",
        metavar="MODEL",
        help="evaluate this model (a folder or owner/name) instead of the run's stages; repeatable",
    )
    evaluate.add_argument(
        "--suite",
        metavar="NAME|FILE",
        help="evaluate on gsm8k, bbh:NAME (from the Hub, or gsm8k:FILE and bbh:FILE), or a file of "
        "questions with --grader; without --model, the models of the run in --out",
    )


def training_stages() -> list[str]:
    """Names of the stages that `steiner train` can make, in the order of a run."""
    from steiner.pipeline.stages import model_stages

    return [stage.name for stage in model_stages()]


def _synth(options: argparse.Namespace) -> None:
    if options.preview is None:
        _run_stage(options, _STAGE_OF_COMMAND["synth"])
        return
    from steiner.teacher.preview import preview

    recipe = _load_recipe(options)
    print(preview(recipe, _run_dir(options, recipe), options.preview))


def _pretrain(options: argparse.Namespace) -> None:
    from steiner.pipeline import runs

    recipe = _load_recipe(options)
    runs.pretrain(recipe, _run_dir(options, recipe), force=options.force)


def _train(options: argparse.Namespace) -> None:
    from steiner.pipeline import runs
    from steiner.pipeline.stages import model_stages

    _run_stage(options, runs.stage_named(options.stage, model_stages()).name)


def _run(options: argparse.Namespace) -> None:
    from steiner.pipeline import runs

    recipe = _load_recipe(options)
    run_dir = _run_dir(options, recipe)
    runs.run(recipe, run_dir, force=options.force)
    if not is_first():
        return
    model = run_dir / training_stages()[-1]
    print(f"model   {model}\nreport  {run_dir / 'report' / 'report.html'}")
    is_puzzles = "countdown" in recipe.problems.levels
    command = 'solve "Make 21 from 9, 6, 3."' if is_puzzles else "serve"
    print(f"next    {_program()} {command} --model {model}")


def _program() -> str:
    """The command that starts this program: its name if it is on the PATH, else its path."""
    if shutil.which("steiner"):
        return "steiner"
    program = Path(sys.executable).with_name("steiner")
    return os.path.relpath(program) if program.exists() else f"{sys.executable} -m steiner"


def _eval(options: argparse.Namespace) -> None:
    if not options.model and not options.suite:
        _run_stage(options, _STAGE_OF_COMMAND["eval"])
        return
    from steiner.pipeline import runs

    recipe = _load_recipe(options)
    run_dir = _run_dir(options, recipe)
    models = {model: model for model in options.model or ()} or runs.finished_models(run_dir)
    if not models:
        raise UserError(f"no model in {run_dir}", "name one with --model, or a run with --out")
    name = "-".join(recipe.problems.levels) if options.suite or options.task else "models"
    page = runs.evaluate_models(recipe, run_dir, models, name, force=options.force)
    if is_first():
        print(f"report  {page}")


def _report(options: argparse.Namespace) -> None:
    options.force = True  # it takes seconds, and the user asked for it by name
    _run_stage(options, _STAGE_OF_COMMAND["report"])


def _plan(options: argparse.Namespace) -> None:
    from steiner.pipeline import plan

    if options.planned and options.recipe:
        hint = f"leave out --recipe {options.recipe}, or {options.planned}"
        raise UserError("two recipes are named", hint)
    options.recipe = options.planned or options.recipe
    recipe = _read_recipe(options)
    for name in ("memory", "tflops", "bandwidth", "price"):
        if getattr(options, name) < 0:
            raise UserError(f"--{name} is {getattr(options, name):g}", "give a positive number")
    rate = options.tflops * 1e12 or plan.training_rate()
    is_here = not options.memory and options.gpus == 1
    memory = plan.device_memory() if is_here else options.memory * 1e9
    devices = plan.Devices(
        count=options.gpus,
        memory=memory,
        flops=rate,
        bandwidth=options.bandwidth * 1e9,
        price=options.price,
        sharded=options.sharded,
    )
    shape = plan.shape_of(recipe.base.source)
    print(plan.plan_table(shape, devices, plan.plan(recipe, shape, devices)))
    if not options.tflops:
        print("that rate was measured just now; it moves with the load of this machine")
    if is_here:
        print(f"{memory / 1e9:.4g} GB is the memory that is free on this machine now")


def _run_stage(options: argparse.Namespace, name: str) -> None:
    from steiner.pipeline import runs

    recipe = _load_recipe(options)
    runs.run(recipe, _run_dir(options, recipe), only=name, force=options.force)


def _load_recipe(options: argparse.Namespace) -> Recipe:
    """The recipe of the options. Raises UserError if it has no task, or an unknown one or level."""
    from steiner.questions.task import register_questions
    from steiner.tasks import task

    recipe = _read_recipe(options)
    register_questions(recipe)
    if not recipe.problems.levels:
        hint = "give your own with --questions FILE, or --set problems.levels.countdown=1"
        raise UserError(f"recipe {recipe.name} names no task", hint)
    for name, level in recipe.problems.levels.items():
        levels = task(name).generator.levels
        if level not in levels:
            hint = f"levels of {name}: {levels.start} to {levels.stop - 1}"
            raise UserError(f"problems.levels.{name} is {level}", hint)
    return recipe


def _read_recipe(options: argparse.Namespace) -> Recipe:
    """The recipe of the options, its tasks unchecked."""
    from steiner.recipe_file import load_recipe

    has_own = options.questions or options.task or getattr(options, "suite", None)
    name = options.recipe or ("questions" if has_own else "tiny")
    return load_recipe(name, [*_short_forms(options), *options.overrides])


def _short_forms(options: argparse.Namespace) -> list[str]:
    """The options of `_add_own_questions` and --suite as "key=value" settings of a recipe."""
    from steiner.questions.presets import suite_settings
    from steiner.questions.task_file import register_task_file

    own = {key: getattr(options, name) for name, key in _SHORT_FORMS.items()}
    settings = [f"{key}={json.dumps(value)}" for key, value in own.items() if value is not None]
    files = [name for name in options.task if name.endswith(".py")]
    names = [register_task_file(name).name if name in files else name for name in options.task]
    settings += [f"problems.levels.{name}=1" for name in names]
    if files:
        settings.append(f"problems.files={json.dumps(files)}")
    if suite := getattr(options, "suite", None):
        settings += suite_settings(suite)
    return settings


def _run_dir(options: argparse.Namespace, recipe: Recipe) -> Path:
    chosen: Path | None = options.out
    return Path("runs", recipe.name) if chosen is None else chosen
