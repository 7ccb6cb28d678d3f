"""The choice of rollout groups and of tasks, and the metrics of a group."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from steiner.rl.rewards import MALFORMED, WRONG, Score
from steiner.rl.rollout_groups import RolloutGroup, group_metrics, most_varied, task_weights
from steiner.tasks import generate_problems
from steiner.types import Rollout, Split, StopReason


def scored(outcomes: Sequence[float], name: str = "jugs") -> RolloutGroup:
    problem = next(generate_problems(name, 1, seed=9, split=Split.TRAIN))
    scores = tuple(Score(outcome, outcome > 0, ()) for outcome in outcomes)
    empty = Rollout((1,), (2,), (-1.0,), StopReason.END, well_formed=True)
    return RolloutGroup(problem, (empty,) * len(scores), scores, ((),) * len(scores))


def test_groups_that_teach_most_are_kept() -> None:
    solved, failed = scored([1.0, 0.9]), scored([WRONG, WRONG])
    mixed, broken = scored([1.0, WRONG]), scored([MALFORMED, WRONG])
    assert most_varied([solved, mixed, failed, broken], 2) == [mixed, broken]


def test_families_neither_solved_nor_hopeless_are_drawn_most() -> None:
    log = [{"accuracy/jugs": 1.0}, {"loss": 0.1}, {"accuracy/jugs": 1.0, "accuracy/countdown": 0.5}]
    weights = task_weights(["jugs", "countdown"], log, floor=0.05)
    # jugs: 0.5 -> (0.5 + 1) / 2 = 0.75 -> 0.875; 0.875 * 0.125 + 0.05
    assert weights == pytest.approx({"jugs": 0.159375, "countdown": 0.3})


def test_metrics_by_task() -> None:
    found = group_metrics([scored([1.0, WRONG]), scored([1.0, 1.0], "countdown")])
    assert found["accuracy/jugs"] == 0.5
    assert found["accuracy/countdown"] == 1.0
    assert found["accuracy"] == 0.75
    assert found["mixed_rate"] == 0.5
