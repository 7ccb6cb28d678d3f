"""Finds settings of [rl] that cannot work, before hours of CPT and SFT lead up to them.

Recipe, number of processes -> nothing, or one clear error
"""

from __future__ import annotations

from steiner.inference.vllm_client import VllmClient
from steiner.recipe import Recipe
from steiner.rl.rewards import term_weights
from steiner.tasks import task
from steiner.types import UserError

_AT_LEAST = {
    "steps": 1,
    "rollouts_per_problem": 2,  # they are compared with each other
    "updates_per_generation": 1,
    "rollouts_per_batch": 1,
    "oversample": 1,
    "family_floor": 0.001,
    "temperature": 0.01,
}


def check_rl(recipe: Recipe, num_processes: int) -> None:
    """Raises UserError for numbers that RL cannot use, an unknown reward term, a level that a task
    lacks, or an address that is none. Asks no server."""
    rl = recipe.rl
    for name, least in _AT_LEAST.items():
        if getattr(rl, name) < least:
            raise UserError(f"rl.{name} is {getattr(rl, name)}", f"give {least} or more")
    if rl.problems_per_step % num_processes or not rl.problems_per_step:
        raise UserError(
            f"rl.problems_per_step is {rl.problems_per_step} on {num_processes} processes",
            "make it a multiple of their number",
        )
    term_weights(rl.term_weights)
    for name, level in rl.levels.items():
        levels = task(name).generator.levels
        if level not in levels:
            hint = f"levels of {name}: {levels.start} to {levels.stop - 1}"
            raise UserError(f"rl.levels.{name} is {level}", hint)
    if rl.rollouts == "vllm":
        VllmClient(rl.vllm_url)


def check_rollout_server(recipe: Recipe) -> None:
    """Raises UserError if rollouts come from a vLLM server and it does not answer."""
    if recipe.rl.rollouts == "vllm":
        VllmClient(recipe.rl.vllm_url).served_model()
