"""Samples rollouts of a model, scores them as RL does, and writes them to a file.

recipe, model folder -> Parquet (rl/rollout_file.py)

    steiner rollouts runs/tiny/sft --out rollouts.parquet
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from steiner.dags.source import dags_of_run
from steiner.format.tokenizer import Vocabulary
from steiner.inference.model_loading import load_reasoning_model
from steiner.models.loading import load_model
from steiner.models.precision import wants_bf16
from steiner.progress import plural
from steiner.recipe import Recipe
from steiner.rl.rollout_backend import rollout_backend
from steiner.rl.rollout_file import scored_rollouts, write_rollouts
from steiner.rl.rollout_groups import RolloutGroupSource
from steiner.types import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def write_model_rollouts(recipe: Recipe, model: Path, out: Path, num_problems: int) -> str:
    """Writes the rollouts of `num_problems` problems of the training split; all of them, whatever
    their outcomes. Returns a line that says what is in the file.

    Raises UserError for a model that cannot be read or a recipe without tasks.
    """
    if not recipe.problems.levels:
        raise UserError(f"recipe {recipe.name} names no task", "give each task its level")
    recipe = replace(recipe, rl=replace(recipe.rl, oversample=1.0))
    loaded, vocabulary = _load(recipe, model)
    weights = out.with_name(f"{out.name}.weights")
    with closing(rollout_backend(recipe.rl, loaded, vocabulary, weights)) as written_by:
        written_by.before_rollouts(0)
        dags = dags_of_run(model.parent)
        source = RolloutGroupSource(recipe, vocabulary, written_by.backend, dags)
        groups = source.sample(num_problems, [], "export")
    rollouts = list(scored_rollouts(groups, recipe.rl.step_reward_weight))
    write_rollouts(out, rollouts)
    right = sum(rollout.right for rollout in rollouts)
    made = f"{plural(len(rollouts), 'rollout')} of {plural(num_problems, 'problem')}"
    return f"{out}: {made}, {right:,} right"


def _load(recipe: Recipe, model: Path) -> tuple[PreTrainedModel, Vocabulary]:
    """The model: in fp32 for a server, as RL gives it the weights, or if `rl.precision` is fp32.
    The engine otherwise decodes it in the number format of `steiner solve`."""
    if recipe.rl.rollouts == "engine":
        in_fp32 = not wants_bf16(recipe.rl.precision)
        return load_reasoning_model(model, torch.float32 if in_fp32 else None)
    loaded, tokenizer = load_model(model)
    return loaded, Vocabulary.require(tokenizer)
