"""The step budget on vLLM's Model Runner V2, which keeps a request's tokens on the device.

request states, logits (B, V) -> logits of which only what the limits allow is left

The tokens that a step has drawn are on the device alone when the next step is prepared; how many
they are is known here too, so that nothing waits for them. Imports nothing of vLLM, so that it is
tested without.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from steiner.serving.vllm.batch_constraints import SlotBudgetMask, budget_of

_NOT_BEGUN = np.iinfo(np.int64).max
"""More tokens than there are: nothing is read for a slot that no request is in."""


class V2RunnerBudget:
    """Follows the requests in the runner's slots; `states` is its LogitsProcRequestState."""

    def __init__(self, limits: SlotBudgetMask, states: Any, max_length: int) -> None:
        self._limits, self._states, self._max_length = limits, states, max_length
        self._num_followed = np.full(states.max_num_reqs, _NOT_BEGUN)

    def add_request(self, slot: int, params: Any) -> bool:
        """A request enters a slot, for the first time or again; what it had written before is read
        with the next logits."""
        room = self._max_length - int(self._states.prompt_len.np[slot])
        self._limits.begin(slot, budget_of(params.extra_args, params.max_tokens, room))
        self._num_followed[slot] = 0
        return True

    def apply(self, logits_BV: torch.Tensor, context: Any) -> torch.Tensor:
        """The logits of all rows, within each row's limits."""
        num_rows = len(logits_BV)
        slots = context.idx_mapping_np[:num_rows]
        lengths = context.seq_lens_upper_bound_np[:num_rows]
        self._follow(slots, lengths - self._states.prompt_len.np[slots])
        return self._limits.constrain(logits_BV, context.idx_mapping[:num_rows].long())

    def _follow(self, slots: np.ndarray, num_written: np.ndarray) -> None:
        """Reads what has been written: one token a request, or all of a request that comes back
        after it had to leave for want of memory."""
        device, followed = self._limits.class_of_V.device, self._num_followed
        while (due := slots[followed[slots] < num_written]).size:
            places = self._states.prompt_len.np[due] + followed[due]
            slots_B = torch.from_numpy(due.astype(np.int64)).to(device)
            places_B = torch.from_numpy(places.astype(np.int64)).to(device)
            self._limits.follow(slots_B, self._states.all_token_ids.gpu[slots_B, places_B].long())
            followed[due] += 1
