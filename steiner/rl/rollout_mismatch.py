"""How far the log-probabilities of rollouts are from the trainer's, over one batch of rollouts.

log-probabilities (B, T) by two programs -> mean and largest absolute difference

TRL's names. Only tokens that the model chose count. With the same weights the difference is
rounding and different kernels; a large one means that the server computes something else. Rows
arrive in several micro-batches, on several processes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

MEAN = "sampling/sampling_logp_difference/mean"
MAX = "sampling/sampling_logp_difference/max"


class RolloutMismatch:
    """Sums up the micro-batches of one batch of rollouts; `gather` concatenates over processes."""

    def __init__(self, gather: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._gather = gather
        self._parts: list[torch.Tensor] = []

    def add(
        self, rollout_BT: torch.Tensor, trainer_BT: torch.Tensor, chosen_BT: torch.Tensor
    ) -> None:
        """Adds a micro-batch; `chosen_BT` is True where the model chose the token."""
        difference_N = (rollout_BT - trainer_BT)[chosen_BT].abs().double()
        largest = torch.cat([difference_N, difference_N.new_zeros(1)]).max()
        count = difference_N.new_tensor(len(difference_N))
        part = torch.stack([difference_N.sum(), count, largest])
        self._parts.append(self._gather(part).view(-1, 3))

    def metrics(self) -> dict[str, float]:
        """Mean and largest difference so far."""
        sum_P, count_P, largest_P = torch.cat(self._parts).unbind(1)
        mean = sum_P.sum() / count_P.sum().clamp(min=1)
        return {MEAN: float(mean), MAX: float(largest_P.max())}
