"""Search behaviour: how often steps backtrack, verify correctly, repeat a state or go wrong.

Completions -> rates of steps and of answers, with intervals

Each step is traced on the problem's exact ReasoningDag (dags/tracing.py). Steps of one problem are
correlated, and the intervals account for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from steiner.dags.source import DagSource
from steiner.dags.tracing import Trace, TracedStep, trace
from steiner.evaluation.model_runner import ItemCompletion
from steiner.evaluation.statistics import Estimate, average, rate
from steiner.tasks import task
from steiner.types import Decision, Status, StopReason


@dataclass(frozen=True, slots=True)
class StepRate:
    """A rate over steps: those for which `counts` holds, among those for which `applies` holds."""

    title: str
    """For people."""
    counts: Callable[[TracedStep], bool]
    applies: Callable[[TracedStep], bool] = lambda step: True


STEP_RATES: Mapping[str, StepRate] = {
    "backtracks": StepRate("Steps that backtrack", lambda s: s.decision is Decision.BACKTRACK),
    "backtracks_rightly": StepRate(
        "Backtracks that leave a dead end",
        lambda s: s.status is Status.DEAD,
        lambda s: s.decision is Decision.BACKTRACK and s.node is not None,
    ),
    "verifies_rightly": StepRate("Steps with a correct verification", lambda s: s.verdict_true),
    "repeats": StepRate("Steps that repeat a state", lambda s: s.repeated),
    "illegal": StepRate("Steps that are not a legal move", lambda s: not s.legal),
    "misreads": StepRate(
        "First steps that misread the question", lambda s: not s.sound, lambda s: s.depth == 0
    ),
    "miscomputes": StepRate(
        "Steps that are legal but miscomputed",
        lambda s: s.legal and not s.sound,
        lambda s: s.depth != 0,
    ),
}
"""Metric -> rate over steps. These need exact DAGs."""

ANSWER_RATES: Mapping[str, str] = {
    "breaks_format": "Answers that break the format",
    "runs_out": "Answers that run out of tokens",
    "repeats_itself": "Answers stopped in a loop",
}
"""Metric -> title of a rate over answers."""


def has_exact_dag(completion: ItemCompletion) -> bool:
    """True if the task of the completion's problem has exact DAGs."""
    return task(completion.item.problem.family).has_exact_dags


def traces(completions: Sequence[ItemCompletion], dags: DagSource) -> list[Trace]:
    """Each completion traced on its problem's DAG. All tasks must have exact DAGs."""
    return [trace(dags.dag(one.item.problem), one.rollout.steps) for one in completions]


def step_rates(traced: Sequence[Trace]) -> dict[str, Estimate]:
    """The rates over steps; a rate that applies to no step is left out."""
    rates = {name: _step_rate(one, traced) for name, one in STEP_RATES.items()}
    return {name: estimate for name, estimate in rates.items() if estimate is not None}


def answer_rates(completions: Sequence[ItemCompletion]) -> dict[str, Estimate]:
    """The rates over answers, and the mean number of steps. Raises ValueError for no answer."""
    rollouts = [one.rollout for one in completions]
    ran_out = StopReason.LENGTH
    return {
        "breaks_format": _share([not rollout.well_formed for rollout in rollouts]),
        "runs_out": _share([rollout.stop_reason is ran_out for rollout in rollouts]),
        "repeats_itself": _share([r.stop_reason is StopReason.REPETITION for r in rollouts]),
        "steps": average([len(rollout.steps) for rollout in rollouts]),
    }


def _step_rate(one: StepRate, traced: Sequence[Trace]) -> Estimate | None:
    steps_P = [[step for step in walk.steps if one.applies(step)] for walk in traced]
    return rate([sum(map(one.counts, steps)) for steps in steps_P], list(map(len, steps_P)))


def _share(holds_P: Sequence[bool]) -> Estimate:
    found = rate([int(holds) for holds in holds_P], [1] * len(holds_P))
    if found is None:
        raise ValueError("a share of nothing")
    return found
