"""The mismatch counts chosen tokens only, over all micro-batches and processes."""

from __future__ import annotations

import pytest
import torch

from steiner.rl.rollout_mismatch import MAX, MEAN, RolloutMismatch


def test_mean_and_largest_difference_over_micro_batches() -> None:
    mismatch = RolloutMismatch(lambda part: part)
    chosen = torch.tensor([[False, True, True]])
    mismatch.add(torch.tensor([[-9.0, -1.0, -2.0]]), torch.tensor([[0.0, -1.5, -2.0]]), chosen)
    # |-1 + 1.5| = 0.5 and 0, of two tokens
    assert mismatch.metrics() == {MEAN: 0.25, MAX: 0.5}
    only = torch.tensor([[True, False, False]])
    mismatch.add(torch.tensor([[-1.0, 0.0, 0.0]]), torch.tensor([[-0.75, -7.0, -7.0]]), only)
    # and 0.25 of a third
    assert mismatch.metrics() == {MEAN: pytest.approx(0.25), MAX: 0.5}


def test_two_processes_count_together_and_a_row_without_choices_counts_nothing() -> None:
    mismatch = RolloutMismatch(lambda part: torch.cat([part, torch.tensor([3.0, 1.0, 3.0])]))
    nothing = torch.zeros(1, 2, dtype=torch.bool)
    mismatch.add(torch.ones(1, 2), torch.zeros(1, 2), nothing)
    assert mismatch.metrics() == {MEAN: 3.0, MAX: 3.0}
