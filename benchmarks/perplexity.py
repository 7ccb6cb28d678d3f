"""Perplexity of held-out ordinary text before and after continual pre-training.

Setting -> perplexity of the base, of the CPT model, and the rise in per cent
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.results import Measured
from benchmarks.setting import Figure, Setting
from steiner.data.mixture import held_out_rows
from steiner.evaluation.statistics import Estimate, average, bootstrap_difference
from steiner.models.loading import load_model
from steiner.training.losses import perplexity


def rise(setting: Setting) -> Iterator[Measured]:
    """Before and after; the interval of the rise is a paired bootstrap over rows of text."""
    losses = {
        "base": _losses(setting.recipe.base.source),
        "cpt": _losses(setting.stage("cpt")),
    }
    for name, loss_N in losses.items():
        yield Measured.of(f"of {name}", _mapped(math.exp, average(loss_N)), "", scale=1)
    gained = bootstrap_difference(losses["cpt"], losses["base"], "perplexity")
    yield Measured.of("rise", _mapped(math.expm1, gained), "%", "at most 2")


def _mapped(function: Callable[[float], float], estimate: Estimate) -> Estimate:
    """The Estimate of an increasing function of the estimated value."""
    value, low, high = map(function, (estimate.value, estimate.low, estimate.high))
    return Estimate(value, low, high, estimate.n)


def _losses(model: str | Path) -> list[float]:
    """Mean cross-entropy of each held-out row (N,)."""
    learner, tokenizer = load_model(model)
    rows = held_out_rows(tokenizer)
    return [math.log(perplexity(learner, rows[i : i + 1])) for i in range(len(rows))]


FIGURES: Mapping[str, Figure] = {"perplexity": rise}
