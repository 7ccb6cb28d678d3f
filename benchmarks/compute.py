"""The cost of a run's training in seconds, tokens and FLOPs, to match baselines with it.

run folder -> Compute, seconds, tokens

FLOPs are 6 × parameters for each token trained on, and 2 × parameters for each token read or
written while sampling rollouts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from experiments.model_growth import count_parameters
from steiner.files import LOGS, read_json
from steiner.pipeline.stage import read_stamp
from steiner.recipe import Recipe
from steiner.types import UserError

TRAINING = ("cpt", "sft", "rl")


@dataclass(frozen=True, slots=True)
class Compute:
    """Tokens that a model has processed after its base."""

    parameters: int
    trained_tokens: int
    """CPT, SFT, and the rollouts that RL trained on."""
    sampled_tokens: int
    """All rollouts of RL, with their prompts."""

    @property
    def flops(self) -> float:
        """Of all training after the base."""
        return self.parameters * (6.0 * self.trained_tokens + 2.0 * self.sampled_tokens)


def run_compute(recipe: Recipe, run_dir: Path) -> Compute:
    """The tokens of CPT, SFT and RL in a run.

    Rollout groups that RL did not train on count as much as those that it trained on.
    """
    reinforced = int(_log(run_dir / "rl", "num_tokens"))
    groups = recipe.rl.problems_per_step * recipe.rl.updates_per_generation
    made = math.ceil(groups * recipe.rl.oversample) / groups
    return Compute(
        parameters=count_parameters(AutoConfig.from_pretrained(run_dir / "rl")),
        trained_tokens=recipe.cpt.tokens + recipe.sft.tokens + reinforced,
        sampled_tokens=int(reinforced * made),
    )


def training_seconds(run_dir: Path) -> float:
    """The time of CPT, SFT and RL together. Raises UserError if one was resumed."""
    return sum(_stage_seconds(run_dir, name) for name in TRAINING)


def tokens_in(seconds: float, recipe: Recipe, run_dir: Path) -> int:
    """The tokens trained on in that time at the speed of the run's SFT stage."""
    _stage_seconds(run_dir, "sft")  # a resumed stage's speed is not known either
    return int(seconds * recipe.sft.tokens / runtime(run_dir / "sft"))


def runtime(folder: Path) -> float:
    """The trainer's seconds for the model in `folder`, without loading."""
    return _log(folder, "train_runtime")


def _stage_seconds(run_dir: Path, name: str) -> float:
    stamp = read_stamp(run_dir / name)
    if stamp is None:
        raise UserError(f"stage '{name}' is not complete in {run_dir}", "make it: steiner run")
    if stamp.sessions > 1:
        hint = f"make it without a break: steiner train {name} --force"
        raise UserError(f"stage '{name}' in {run_dir} was resumed: its time is not known", hint)
    return stamp.seconds


def _log(folder: Path, name: str) -> float:
    """The last value of that name in the trainer's log."""
    logs = folder.parent / LOGS / folder.name
    history: list[Mapping[str, Any]] = read_json(logs / "trainer_state.json")["log_history"]
    for entry in reversed(history):
        if name in entry:
            return float(entry[name])
    raise UserError(f"no '{name}' in the log of {folder}", "train it again with --force")
