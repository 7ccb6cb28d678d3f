"""A real base with the whole method, beside the same base trained on as many tokens without search.

Setting -> accuracy on the four families, base ability before and after

    make bench FIGURE="base-rivals base-ability --base models/smollm2 --tokens 900000 --problems 20"

At equal training tokens and with the learning rates of the recipe `smollm2-135m`: ours, CPT and SFT
on search paths, with this project's README and docs as ordinary text in CPT; (a) direct answers;
(b) shortest paths without wrong turns. Answers have as many tokens as the longest path in training.
Models and graded answers are kept under runs/bench, so that a killed run continues.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks import gsm8k, perplexity
from benchmarks.results import Measured
from benchmarks.setting import Figure, Setting
from benchmarks.solved import accuracy, family_accuracy, gain, solved
from experiments import baselines
from steiner.files import model_digest, write_text
from steiner.recipe import Recipe
from steiner.recipe_file import load_recipe

_RECIPE = "smollm2-135m"
_CPT_SHARE = 1 / 9
"""Of the tokens, as in the recipe."""
_OURS, _DIRECT, _SHORTEST = "ours", "(a) direct", "(b) shortest"
_ORDINARY_TEXT = ("README.md", "docs/*.md")
"""What docs/bases.md gives to CPT."""
_ABILITY_PROBLEMS = 100
"""Test questions of GSM8K that measure what the base could do before."""


def rivals(setting: Setting) -> Iterator[Measured]:
    """Ours over (a) and (b), by family, by step budget, and in reasoning-gym's own texts."""
    own = own_setting(setting)
    models = {_OURS: own.stage("sft"), _DIRECT: _direct(own), _SHORTEST: _shortest(own)}
    by_budget = {name: solved(own, model) for name, model in models.items()}
    free = {name: found[None] for name, found in by_budget.items()}
    for name, found in free.items():
        yield Measured.of(name, accuracy(found), "%", note=_note(own))
        for family, right in found.items():
            yield Measured.of(f"{name}, {family}", family_accuracy(right), "%")
    for budget, found in by_budget[_OURS].items():
        if budget is not None:
            yield Measured.of(f"{_OURS}, {budget} steps", accuracy(found), "%")
    for name in (_DIRECT, _SHORTEST):
        over = gain(free[_OURS], free[name])
        yield Measured.of(f"over {name}", over, "points", "at least 5.56")
    for name, model in models.items():
        texts = solved(own, model, "reasoning_gym")[None]
        yield Measured.of(f"{name}, reasoning-gym's texts", accuracy(texts), "%")


def ability(setting: Setting) -> Iterator[Measured]:
    """What the base could do, before and after: ordinary text, and GSM8K with four examples."""
    own = own_setting(setting)
    yield from perplexity.rise(own)
    few = replace(setting, problems=_ABILITY_PROBLEMS)
    for name, model in {"base": Path(setting.base), "ours": own.stage("sft")}.items():
        right = gsm8k.plain(few, model, examples=4).at()
        yield gsm8k.share(f"GSM8K, {name}, 4 examples", right)


def own_setting(setting: Setting) -> Setting:
    """The setting of these figures' own run."""
    folder = setting.base_folder("rivals")
    return replace(setting, recipe=_recipe(setting, folder), run_dir=folder, cache=folder)


def _recipe(setting: Setting, folder: Path) -> Recipe:
    cpt = int(setting.tokens * _CPT_SHARE)
    settings = [f"cpt.tokens={cpt}", f"sft.tokens={setting.tokens - cpt}"]
    recipe = load_recipe(_RECIPE, [f"base.model={json.dumps(setting.base)}", *settings])
    corpora = {str(_ordinary_text(folder)): 1.0}
    longest = recipe.synth.max_tokens  # of a path in training
    return replace(
        recipe,
        cpt=replace(recipe.cpt, corpora=corpora),
        eval=replace(recipe.eval, max_tokens=longest),
    )


def _ordinary_text(folder: Path) -> Path:
    """One file with the project's own pages."""
    pages = [page for pattern in _ORDINARY_TEXT for page in sorted(Path().glob(pattern))]
    file = folder / "handbook.txt"
    write_text(file, "\n".join(page.read_text(encoding="utf-8") for page in pages))
    return file


def _direct(own: Setting) -> Path:
    return trained(own, "direct", baselines.train_direct)


def _shortest(own: Setting) -> Path:
    return trained(own, "shortest", baselines.train_shortest)


def trained(own: Setting, name: str, train: baselines.Training) -> Path:
    """The folder of a rival, trained on as many tokens as ours."""

    def work(recipe: Recipe, out_dir: Path) -> None:
        train(recipe, out_dir, own.tokens)

    return own.trained(name, own.recipe, work, model_digest(own.base), own.tokens)[0]


def _note(own: Setting) -> str:
    return f"{own.tokens:,} training tokens, {own.problems} problems of each family"


FIGURES: Mapping[str, Figure] = {"base-rivals": rivals, "base-ability": ability}
