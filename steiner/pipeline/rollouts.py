"""Samples rollouts of a model, scores them as RL does, and writes them to a file.

recipe, model folder -> Parquet (rl/rollout_file.py)

    steiner rollouts runs/tiny/sft --out rollouts.parquet
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from steiner.dags.source import dags_of_run
from steiner.format.tokenizer import Vocabulary
from steiner.inference.backends import RolloutBackend
from steiner.inference.engine import Engine
from steiner.inference.model_loading import load_reasoning_model
from steiner.inference.vllm_backend import VllmBackend
from steiner.models.loading import load_model
from steiner.progress import plural
from steiner.recipe import Recipe
from steiner.rl.rollout_file import scored_rollouts, write_rollouts
from steiner.rl.rollout_groups import RolloutGroupSource
from steiner.rl.weight_sync import WeightSync
from steiner.types import UserError


def write_model_rollouts(recipe: Recipe, model: Path, out: Path, num_problems: int) -> str:
    """Writes the rollouts of `num_problems` problems of the training split; all of them, whatever
    their outcomes. Returns a line that says what is in the file.

    Raises UserError for a model that cannot be read or a recipe without tasks.
    """
    if not recipe.problems.levels:
        raise UserError(f"recipe {recipe.name} names no task", "give each task its level")
    recipe = replace(recipe, rl=replace(recipe.rl, oversample=1.0))
    with _backend(recipe, model, out) as (vocabulary, backend):
        source = RolloutGroupSource(recipe, vocabulary, backend, dags_of_run(model.parent))
        groups = source.sample(num_problems, [], "export")
    rollouts = list(scored_rollouts(groups, recipe.rl.step_reward_weight))
    write_rollouts(out, rollouts)
    right = sum(rollout.right for rollout in rollouts)
    made = f"{plural(len(rollouts), 'rollout')} of {plural(num_problems, 'problem')}"
    return f"{out}: {made}, {right:,} right"


@contextmanager
def _backend(recipe: Recipe, model: Path, out: Path) -> Iterator[tuple[Vocabulary, RolloutBackend]]:
    """What completes requests with the weights in `model`, for as long as the block runs."""
    if recipe.rl.rollouts == "engine":
        reasoner, vocabulary = load_reasoning_model(model)
        max_length = int(reasoner.config.max_position_embeddings)
        yield vocabulary, Engine(reasoner, vocabulary, max_length=max_length)
        return
    loaded, tokenizer = load_model(model)
    server = VllmBackend(recipe.rl.vllm_url, Vocabulary.require(tokenizer))
    folder = Path(recipe.rl.vllm_weights or out.parent) / f"{out.name}.weights"
    sync = WeightSync(server, loaded, folder, every=1)
    try:
        sync.before_rollouts(0)
        yield Vocabulary.require(tokenizer), server
    finally:
        sync.close()
