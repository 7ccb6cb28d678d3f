"""The baselines that a run is compared with, trained for as long or for as many FLOPs, and kept.

Setting -> model folder, and how it was matched
"""

from __future__ import annotations

from pathlib import Path

from transformers import AutoConfig

from benchmarks.compute import run_compute, runtime, tokens_in, training_seconds
from benchmarks.setting import Setting, model_digest
from steiner.recipe import Recipe
from steiner.training import baselines
from steiner.training.baselines import count_parameters

TIMES = 8
"""Parameters of the larger direct model, over those of the run's."""


def direct(setting: Setting) -> tuple[Path, str]:
    """Answers at once; the same base and time as CPT, SFT and RL together."""
    return _timed(setting, "direct", baselines.train_direct)


def shortest(setting: Setting) -> tuple[Path, str]:
    """Has seen shortest paths only; the same base and time."""
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
        return folder, f"{tokens:,} tokens; resumed, so that its time is not known"
    ratio = runtime(folder) / seconds
    return folder, f"{tokens:,} tokens, {ratio:.2f} times the time of CPT, SFT and RL"


def large(setting: Setting) -> tuple[Path, str]:
    """Answers at once; TIMES the parameters, and the FLOPs of the whole run and its base, or the
    share of them that the setting says; ordinary text and answers in the run's proportion."""
    rl, recipe = setting.stage("rl"), setting.recipe
    compute = run_compute(recipe, setting.run_dir)
    shape = baselines.larger_config(AutoConfig.from_pretrained(rl), TIMES)
    parameters = count_parameters(shape)
    flops_a_token = 6.0 * parameters / setting.large_flops
    ordinary_tokens = int(compute.base_flops / flops_a_token)
    tokens = int((compute.flops - compute.base_flops) / flops_a_token)

    def work(recipe: Recipe, out_dir: Path) -> None:
        baselines.train_direct_large(recipe, out_dir, ordinary_tokens, tokens, times=TIMES)

    base = model_digest(recipe.base.source)
    name = f"large-{setting.large_flops:g}"
    folder, _ = setting.trained(name, recipe, work, base, ordinary_tokens, tokens)
    return folder, (
        f"{parameters:,} parameters to {compute.parameters:,}; {ordinary_tokens:,} tokens of "
        f"ordinary text and {tokens:,} of direct answers, {setting.large_flops:g} of the "
        f"{compute.flops:.3g} FLOPs that the search model got with its base"
    )
