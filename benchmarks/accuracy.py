"""Held-out accuracy: after RL, over SFT, at each step budget, and over each baseline.

Setting -> Measured, in per cent and points, with 95 % intervals over test problems

The step budget is chosen on validation problems.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from benchmarks import baselines
from benchmarks.results import Measured
from benchmarks.setting import Figure, Setting
from benchmarks.solved import (
    BUDGETS,
    Solved,
    accuracy,
    chosen_budget,
    family_accuracy,
    gain,
    solved,
)
from steiner.evaluation.statistics import difference

_SOLVED = 0.95
"""A family with this accuracy need not improve with a larger budget."""


def after_rl(setting: Setting) -> Iterator[Measured]:
    """At the chosen budget: the mean, and each family."""
    budget, found = _budgeted(setting)
    yield Measured.of("mean", accuracy(found), "%", "at least 85", note=_chosen(budget, found))
    yield from _families(found)


def over_direct(setting: Setting) -> Iterator[Measured]:
    """Over the direct model, which should solve less than half of each family."""
    folder, note = baselines.direct(setting)
    rival = solved(setting, folder)[None]
    yield from _over(setting, rival, "at least 30", note)
    yield from _families(rival, "direct model, ", "below 50")


def over_shortest(setting: Setting) -> Iterator[Measured]:
    """Over the model trained on shortest paths only; it has no step budget."""
    folder, note = baselines.shortest(setting)
    rival = solved(setting, folder)[None]
    yield from _over(setting, rival, "at least 15", note)
    yield from _families(rival, "shortest-path model, ")


def over_large(setting: Setting) -> Iterator[Measured]:
    """Over the direct model with eight times the parameters."""
    folder, note = baselines.large(setting)
    rival = solved(setting, folder)[None]
    yield from _over(setting, rival, "above 0", note)
    yield from _families(rival, "large direct model, ")


def over_sft(setting: Setting) -> Iterator[Measured]:
    """RL over SFT without a budget, and with the chosen budget over SFT without one."""
    budget, budgeted = _budgeted(setting)
    sft = solved(setting, setting.stage("sft"))[None]
    rl = solved(setting, setting.stage("rl"))[None]
    gained = gain(rl, sft)
    includes_zero = gained.low <= 0 <= gained.high
    note = "the interval includes 0: no gain is shown" if includes_zero else ""
    target = "at least 5.56 and interval above 0"
    yield Measured.of("over sft", gained, "points", target, note=note)
    note = _chosen(budget, budgeted)
    yield Measured.of("budget over sft", gain(budgeted, sft), "points", "at least 5.56", note=note)
    yield Measured.of("accuracy of sft", accuracy(sft), "%")
    yield Measured.of("accuracy of rl", accuracy(rl), "%")


def by_budget(setting: Setting) -> Iterator[Measured]:
    """Accuracy at each budget, the gain from first to last, and each family's smallest gain."""
    at_budget = solved(setting, setting.stage("rl"))
    found = {budget: at_budget[budget] for budget in BUDGETS}
    for budget, reached in found.items():
        yield Measured.of(f"{budget} steps", accuracy(reached), "%")
    first, last = found[BUDGETS[0]], found[BUDGETS[-1]]
    yield Measured.of("first to last", gain(last, first), "points", "at least 25")
    for name in first:
        yield from _smallest_gain(name, {budget: found[budget][name] for budget in BUDGETS})


def _smallest_gain(name: str, found: Mapping[int, Mapping[str, bool]]) -> Iterator[Measured]:
    """The smallest gain when the budget doubles, until the family is solved."""
    pairs = [
        (fewer, more)
        for fewer, more in pairwise(found)
        if family_accuracy(found[fewer]).value < _SOLVED
    ]
    if not pairs:
        return
    gains = {
        (fewer, more): difference([*found[more].values()], [*found[fewer].values()])
        for fewer, more in pairs
    }
    (fewer, more), least = min(gains.items(), key=lambda item: item[1].value)
    shares = ", ".join(f"{100 * family_accuracy(own).value:.1f} %" for own in found.values())
    note = f"from {fewer} to {more} steps; at all budgets: {shares}"
    yield Measured.of(f"smallest gain, {name}", least, "points", "above 0", note=note)


def _budgeted(setting: Setting) -> tuple[int | None, Solved]:
    """The budget chosen on validation problems, and the test problems solved within it."""
    rl = setting.stage("rl")
    budget = chosen_budget(setting, rl)
    return budget, solved(setting, rl)[budget]


def _chosen(budget: int | None, found: Solved) -> str:
    limit = "no step budget" if budget is None else f"max_steps {budget}"
    count = sum(map(len, found.values()))
    return f"{limit}, chosen on validation problems; {count} test problems"


def _over(setting: Setting, rival: Solved, target: str, note: str) -> Iterator[Measured]:
    _, found = _budgeted(setting)
    yield Measured.of("gain", gain(found, rival), "points", target, note=note)
    yield Measured.of("accuracy of the rival", accuracy(rival), "%")


def _families(found: Solved, prefix: str = "", target: str = "") -> Iterator[Measured]:
    for name, own in found.items():
        yield Measured.of(f"{prefix}{name}", family_accuracy(own), "%", target)


FIGURES: Mapping[str, Figure] = {
    "accuracy": after_rl,
    "direct": over_direct,
    "shortest": over_shortest,
    "rl": over_sft,
    "budgets": by_budget,
    "large": over_large,
}
