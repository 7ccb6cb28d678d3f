"""Ablations of the reward: short RL runs from the same SFT model.

Setting -> accuracy of each variant less that of another, in points, with paired intervals

The variants are outcome only, outcome with step rewards, and the latter without each term. They are
measured on validation problems without a step budget, since they inform the design. A problem's
score is its mean over the seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from benchmarks.results import Measured
from benchmarks.setting import Figure, Setting
from benchmarks.solved import Solved, accuracy, solved
from steiner.evaluation.statistics import Estimate, bootstrap_difference, mean_of
from steiner.evaluation.suites import VALIDATION
from steiner.files import model_digest
from steiner.recipe import Recipe, RlRecipe
from steiner.rl import grpo as rl
from steiner.rl.rewards import TERMS

Scores = Mapping[str, list[float]]
"""Family -> the mean score of each problem over seeds (P,)."""

OUTCOME, FULL = "outcome only", "outcome and steps"


def ablations(setting: Setting) -> Iterator[Measured]:
    """Each variant over SFT, or over the variant that it changes."""
    note = f"{setting.ablation_steps} steps, {setting.seeds} seeds, validation problems"
    before = solved(setting, setting.stage("sft"), VALIDATION)[None]
    yield Measured.of("sft", accuracy(before), "%", note="validation problems")
    scores = {name: _scores(setting, name, change) for name, change in _variants(setting)}
    yield _over(OUTCOME, scores[OUTCOME], "sft", _as_scores([before]), note)
    yield _over(FULL, scores[FULL], "sft", _as_scores([before]), note)
    yield _over(FULL, scores[FULL], OUTCOME, scores[OUTCOME], note)
    for name in TERMS:
        left_out = _without(name)
        yield _over(left_out, scores[left_out], FULL, scores[FULL], note)


def _variants(setting: Setting) -> Iterator[tuple[str, RlRecipe]]:
    """Names and recipes of all variants."""
    full = replace(setting.recipe.rl, steps=setting.ablation_steps)
    yield OUTCOME, replace(full, step_reward_weight=0.0)
    yield FULL, full
    for name in TERMS:
        yield _without(name), replace(full, term_weights={**full.term_weights, name: 0.0})


def _without(term: str) -> str:
    return f"without {term}"


def _scores(setting: Setting, name: str, change: RlRecipe) -> Scores:
    runs = []
    for seed in range(setting.seeds):
        recipe = replace(setting.recipe, seed=setting.recipe.seed + seed, rl=change)
        folder = _trained(setting, f"ablation-{name.replace(' ', '-')}-{seed}", recipe)
        runs.append(solved(setting, folder, VALIDATION)[None])
    return _as_scores(runs)


def _trained(setting: Setting, name: str, recipe: Recipe) -> Path:
    def work(recipe: Recipe, out_dir: Path) -> None:
        rl.train(recipe, setting.run_dir, out_dir)

    folder, _ = setting.trained(name, recipe, work, model_digest(setting.stage("sft")))
    return folder


def _as_scores(runs: list[Solved]) -> Scores:
    return {
        family: [fmean(run[family][key] for run in runs) for key in own]
        for family, own in runs[0].items()
    }


def _over(
    first: str, first_scores: Scores, second: str, second_scores: Scores, note: str
) -> Measured:
    return Measured.of(
        f"{first}, over {second}", _gain(first_scores, second_scores), "points", note=note
    )


def _gain(first: Scores, second: Scores) -> Estimate:
    return mean_of(
        [bootstrap_difference(first[name], second[name], "ablations", name) for name in first]
    )


FIGURES: Mapping[str, Figure] = {"ablations": ablations}
