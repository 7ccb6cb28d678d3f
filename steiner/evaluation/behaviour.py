"""How a model searches: how often its steps backtrack, verify rightly, repeat, or go wrong.

Searches -> rates of steps and of answers, with intervals

Each step is mapped onto the problem's ReasoningDag (dags/tracing.py); steps cluster by problem, and
the intervals know it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from steiner.dags.source import SolverDagSource
from steiner.dags.tracing import Trace, TracedStep, trace
from steiner.evaluation.model_runner import Search
from steiner.evaluation.statistics import Estimate, average, rate
from steiner.types import Decision, Status, StopReason


@dataclass(frozen=True, slots=True)
class Trait:
    """Something that a step does or not, among the steps that could; `title` is for people."""

    title: str
    does: Callable[[TracedStep], bool]
    could: Callable[[TracedStep], bool] = lambda step: True


TRAITS: Mapping[str, Trait] = {
    "backtracks": Trait("Steps that turn back", lambda s: s.decision is Decision.BACKTRACK),
    "backtracks_rightly": Trait(
        "Backtracks that leave a dead end",
        lambda s: s.status is Status.DEAD,
        lambda s: s.decision is Decision.BACKTRACK and s.node is not None,
    ),
    "verifies_rightly": Trait("Steps that verify rightly", lambda s: s.verdict_true),
    "repeats": Trait("Steps that repeat a state", lambda s: s.repeated),
    "illegal": Trait("Steps that are no legal move", lambda s: not s.legal),
    "miscomputes": Trait("Steps that are legal but miscomputed", lambda s: s.legal and not s.sound),
}
"""Metric name -> what is counted, over steps."""

FORM: Mapping[str, str] = {
    "breaks_format": "Answers that break the format",
    "runs_out": "Answers that run out of tokens",
}
"""Metric name -> what is counted, over answers."""


def traces(searches: Sequence[Search]) -> list[Trace]:
    """Each search on its problem's DAG."""
    dags = SolverDagSource()
    return [trace(dags.dag(search.task.problem), search.rollout.steps) for search in searches]


def behaviour(searches: Sequence[Search], traced: Sequence[Trace]) -> dict[str, Estimate]:
    """Every trait's rate, those of the answers' form, and the mean number of steps."""
    found = {name: _trait_rate(trait, traced) for name, trait in TRAITS.items()}
    found["breaks_format"] = _share([not s.rollout.well_formed for s in searches])
    found["runs_out"] = _share([s.rollout.stop_reason is StopReason.LENGTH for s in searches])
    found["steps"] = average([len(search.rollout.steps) for search in searches])
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def _trait_rate(trait: Trait, traced: Sequence[Trace]) -> Estimate | None:
    could_P = [[step for step in one.steps if trait.could(step)] for one in traced]
    hits_P = [sum(map(trait.does, steps)) for steps in could_P]
    return rate(hits_P, [len(steps) for steps in could_P])


def _share(does_P: Sequence[bool]) -> Estimate | None:
    return rate([int(does) for does in does_P], [1] * len(does_P))
