"""Accuracy on questions that differ from training: reasoning-gym's, and perturbed ones.

Setting -> Measured, in per cent and points, with 95 % intervals

The model is that of RL, within the step budget chosen on validation problems. Each perturbation is
compared with the same problems in their usual form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from benchmarks.results import Measured
from benchmarks.setting import Figure, Setting
from benchmarks.solved import accuracy, chosen_budget, family_accuracy, gain, solved
from steiner.evaluation.suites.perturbations import PERTURBATIONS, PREFIX


def reasoning_gym(setting: Setting) -> Iterator[Measured]:
    """On reasoning-gym's instances, by its own scorer; in its own words."""
    rl = setting.stage("rl")
    found = solved(setting, rl, "reasoning_gym")[chosen_budget(setting, rl)]
    count = sum(map(len, found.values()))
    note = f"{count} instances that training cannot have seen; full scores only"
    yield Measured.of("mean", accuracy(found), "%", note=note)
    for name, own in found.items():
        yield Measured.of(name, family_accuracy(own), "%", note=f"{len(own)} instances")


def perturbations(setting: Setting) -> Iterator[Measured]:
    """On test problems whose question is changed, and the difference to the unchanged ones."""
    rl = setting.stage("rl")
    budget = chosen_budget(setting, rl)
    usual = solved(setting, rl)[budget]
    yield Measured.of("unchanged", accuracy(usual), "%")
    for one in PERTURBATIONS:
        found = solved(setting, rl, f"{PREFIX}{one.name}")[budget]
        note = f"{sum(map(len, found.values()))} problems of {', '.join(found)}"
        yield Measured.of(one.title, accuracy(found), "%", note=note)
        yield Measured.of(f"{one.title}, difference", gain(found, usual), "points")


FIGURES: Mapping[str, Figure] = {
    "reasoning-gym": reasoning_gym,
    "perturbations": perturbations,
}
