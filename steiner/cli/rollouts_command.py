"""The command that writes scored rollouts for other RL engines.

steiner rollouts runs/tiny/sft --out rollouts.parquet
"""

from __future__ import annotations

import argparse
from pathlib import Path

from steiner.cli.parser import Commands, Parser, add_command, whole_number
from steiner.types import UserError


def add_command_to(commands: Commands[Parser]) -> None:
    """Adds `rollouts`."""
    rollouts = add_command(
        commands,
        "rollouts",
        _rollouts,
        summary="scored rollouts as Parquet, for other RL engines",
        example="steiner rollouts runs/tiny/sft --problems 8 --out rollouts.parquet",
    )
    rollouts.add_argument("model", type=Path, metavar="MODEL", help="a stage's folder in a run")
    rollouts.add_argument("--out", type=Path, required=True, metavar="FILE", help="the new file")
    rollouts.add_argument(
        "--problems",
        type=whole_number,
        default=8,
        metavar="N",
        help="problems (8), each with rl.rollouts_per_problem rollouts",
    )
    rollouts.add_argument(
        "--recipe", metavar="NAME|FILE", help="default: recipe.toml in the model's folder"
    )
    rollouts.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="change one key of the recipe, such as rl.rollouts=vllm; repeatable",
    )


def _rollouts(options: argparse.Namespace) -> None:
    from steiner.pipeline.rollouts import write_model_rollouts
    from steiner.questions.task import register_questions
    from steiner.recipe_file import load_recipe

    if options.problems < 1:
        raise UserError(f"--problems is {options.problems}", "give 1 or more")
    own = options.model / "recipe.toml"
    if not (options.recipe or own.exists()):
        raise UserError(f"there is no {own}", "name a recipe with --recipe")
    recipe = load_recipe(options.recipe or str(own), options.overrides)
    register_questions(recipe)
    print(write_model_rollouts(recipe, options.model, options.out, options.problems))
