"""Baselines of a run: they are trained for the same time or FLOPs, and kept.

Setting -> model folder, and a note on the match
"""

from __future__ import annotations

from pathlib import Path

from transformers import AutoConfig

from benchmarks.compute import run_compute, runtime, tokens_in, training_seconds
from benchmarks.setting import Setting
from experiments import baselines
from experiments.model_growth import count_parameters, larger_config
from steiner.files import model_digest
from steiner.recipe import Recipe

TIMES = 8
"""Parameters of the larger direct model per parameter of the run's model."""


def direct(setting: Setting) -> tuple[Path, str]:
    """Answers directly; same base, and the time of CPT, SFT and RL together."""
    return _timed(setting, "direct", baselines.train_direct)


def shortest(setting: Setting) -> tuple[Path, str]:
    """Trained on shortest paths only; same base and time."""
    return _timed(setting, "shortest", baselines.train_shortest)


def _timed(setting: Setting, name: str, train: baselines.Training) -> tuple[Path, str]:
    setting.stage("rl")
    recipe, seconds = setting.recipe, training_seconds(setting.run_dir)
    tokens = tokens_in(seconds, recipe, setting.run_dir)

    def work(recipe: Recipe, out_dir: Path) -> None:
        train(recipe, out_dir, tokens)

    base = model_digest(recipe.base.source)
    folder, stamp = setting.trained(name, recipe, work, base, tokens)
    if stamp.sessions > 1:
        return folder, f"{tokens:,} tokens; resumed, so its time is not known"
    ratio = runtime(folder) / seconds
    return folder, f"{tokens:,} tokens, {ratio:.2f} times the time of CPT, SFT and RL"


def large(setting: Setting) -> tuple[Path, str]:
    """Answers directly; the same base grown to TIMES the parameters, with the FLOPs of CPT, SFT and
    RL together."""
    rl, recipe = setting.stage("rl"), setting.recipe
    compute = run_compute(recipe, setting.run_dir)
    parameters = count_parameters(larger_config(AutoConfig.from_pretrained(rl), TIMES))
    tokens = int(compute.flops / (6.0 * parameters))

    def work(recipe: Recipe, out_dir: Path) -> None:
        baselines.train_direct(recipe, out_dir, tokens, times=TIMES)

    base = model_digest(recipe.base.source)
    folder, _ = setting.trained("large", recipe, work, base, tokens)
    return folder, (
        f"{parameters:,} parameters to {compute.parameters:,}, grown from the same base; "
        f"{tokens:,} tokens, {compute.flops:.3g} FLOPs as CPT, SFT and RL"
    )
