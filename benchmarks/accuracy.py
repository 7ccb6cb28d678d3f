"""Held-out accuracy: after RL, over SFT, at each step budget, and over each baseline.

Setting -> Measured, in per cent and points, with 95 % intervals over test problems

The step budget is chosen on validation problems.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from benchmarks import baselines
from benchmarks.marks import BUDGETS, Marks, accuracy, chosen_budget, gain, marks
from benchmarks.results import Measured
from benchmarks.setting import Figure, Setting
from steiner.evaluation.statistics import difference, proportion

SOLVED = 0.95
"""A family solved to this share need not rise further."""


def after_rl(setting: Setting) -> Iterator[Measured]:
    """At the chosen budget: the mean, and each family."""
    budget, found = _budgeted(setting)
    yield Measured.of("mean", accuracy(found), "%", "at least 85", note=_chosen(budget))
    yield from _families(found)


def over_direct(setting: Setting) -> Iterator[Measured]:
    """Over the direct model, which should solve under half of each family."""
    folder, note = baselines.direct(setting)
    rival = marks(setting, folder)[None]
    yield from _over(setting, rival, "at least 30", note)
    yield from _families(rival, "direct model, ", "below 50")


def over_shortest(setting: Setting) -> Iterator[Measured]:
    """Over the model that knows shortest paths only; it has no step budget."""
    folder, note = baselines.shortest(setting)
    rival = marks(setting, folder)[None]
    yield from _over(setting, rival, "at least 15", note)
    yield from _families(rival, "shortest-path model, ")


def over_large(setting: Setting) -> Iterator[Measured]:
    """Over the direct model with eight times the parameters."""
    folder, note = baselines.large(setting)
    rival = marks(setting, folder)[None]
    yield from _over(setting, rival, "above 0", note)
    yield from _families(rival, "large direct model, ")


def over_sft(setting: Setting) -> Iterator[Measured]:
    """RL over SFT without a budget, and with the chosen budget over SFT without one."""
    budget, budgeted = _budgeted(setting)
    sft = marks(setting, setting.stage("sft"))[None]
    rl = marks(setting, setting.stage("rl"))[None]
    target = "at least 3.53 and interval above 0"
    yield Measured.of("over sft", gain(rl, sft), "points", target)
    note = _chosen(budget)
    yield Measured.of("budget over sft", gain(budgeted, sft), "points", "at least 5.56", note=note)
    yield Measured.of("accuracy of sft", accuracy(sft), "%")
    yield Measured.of("accuracy of rl", accuracy(rl), "%")


def by_budget(setting: Setting) -> Iterator[Measured]:
    """Accuracy at each budget, the rise from first to last, and each family's least rise."""
    at_budget = marks(setting, setting.stage("rl"))
    found = {budget: at_budget[budget] for budget in BUDGETS}
    for budget, reached in found.items():
        yield Measured.of(f"{budget} steps", accuracy(reached), "%")
    first, last = found[BUDGETS[0]], found[BUDGETS[-1]]
    yield Measured.of("first to last", gain(last, first), "points", "at least 25")
    for name in first:
        yield from _least_rise(name, {budget: found[budget][name] for budget in BUDGETS})


def _least_rise(name: str, right_P: Mapping[int, Sequence[bool]]) -> Iterator[Measured]:
    """The least rise at a doubling of the budget, as long as the family is not solved."""
    open_pairs = [
        (fewer, more)
        for fewer, more in pairwise(right_P)
        if proportion(right_P[fewer]).value < SOLVED
    ]
    if not open_pairs:
        return
    rises = {pair: difference(right_P[pair[1]], right_P[pair[0]]) for pair in open_pairs}
    (fewer, more), least = min(rises.items(), key=lambda item: item[1].value)
    shares = ", ".join(f"{100 * proportion(right).value:.1f} %" for right in right_P.values())
    note = f"from {fewer} to {more} steps; at all budgets: {shares}"
    yield Measured.of(f"least rise, {name}", least, "points", "above 0", note=note)


def _budgeted(setting: Setting) -> tuple[int | None, Marks]:
    """The budget chosen on validation problems, and the test problems solved with it."""
    rl = setting.stage("rl")
    budget = chosen_budget(setting, rl)
    return budget, marks(setting, rl)[budget]


def _chosen(budget: int | None) -> str:
    limit = "no step budget" if budget is None else f"max_steps {budget}"
    return f"{limit}, chosen on validation problems"


def _over(setting: Setting, rival: Marks, target: str, note: str) -> Iterator[Measured]:
    _, found = _budgeted(setting)
    yield Measured.of("gain", gain(found, rival), "points", target, note=note)
    yield Measured.of("accuracy of the rival", accuracy(rival), "%")


def _families(found: Marks, prefix: str = "", target: str = "") -> Iterator[Measured]:
    for name, right_P in found.items():
        yield Measured.of(f"{prefix}{name}", proportion(right_P), "%", target)


FIGURES: Mapping[str, Figure] = {
    "accuracy": after_rl,
    "direct": over_direct,
    "shortest": over_shortest,
    "rl": over_sft,
    "budgets": by_budget,
    "large": over_large,
}
