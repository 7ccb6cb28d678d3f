"""The step budget on vLLM's Model Runner V2, which keeps a request's tokens on the device.

request states, logits (B, V) -> logits with -inf for tokens that are not allowed

When a step is prepared, the tokens of the step before it are on the device only, but their number
is known on the CPU, so nothing waits for the device. Imports nothing from vLLM, so that it can be
tested without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from steiner.serving.vllm.batch_constraints import SlotBudgetMask, budget_of, is_direct

_NOT_BEGUN = np.iinfo(np.int64).max
"""More than any number of tokens: nothing is read for a slot without a request."""


class V2RunnerBudget:
    """Follows the requests in the runner's slots; `states` is vLLM's LogitsProcRequestState."""

    def __init__(self, mask: SlotBudgetMask, states: Any, max_length: int) -> None:
        self._mask, self._states, self._max_length = mask, states, max_length
        self._num_followed = np.full(states.max_num_reqs, _NOT_BEGUN)

    def add_request(self, slot: int, params: Any) -> bool:
        """Starts a request in a slot, for the first time or again after it was preempted; its
        earlier tokens are read with the next logits."""
        room = self._max_length - int(self._states.prompt_len.np[slot])
        budget = budget_of(params.extra_args, params.max_tokens, room)
        self._mask.begin(slot, budget, reasoning=not is_direct(params.extra_args))
        self._num_followed[slot] = 0
        return True

    def apply(self, logits_BV: torch.Tensor, context: Any) -> torch.Tensor:
        """Masks the logits of all rows."""
        num_rows = len(logits_BV)
        slots = context.idx_mapping_np[:num_rows]
        lengths = context.seq_lens_upper_bound_np[:num_rows]
        self._follow(slots, lengths - self._states.prompt_len.np[slots])
        return self._mask.constrain(logits_BV, context.idx_mapping[:num_rows].long())

    def _follow(self, slots: np.ndarray, num_written: np.ndarray) -> None:
        """Reads new tokens: one per request, or all tokens of a request that was preempted."""
        device, followed = self._mask.class_of_V.device, self._num_followed
        while (due := slots[followed[slots] < num_written]).size:
            positions = self._states.prompt_len.np[due] + followed[due]
            slots_B = torch.from_numpy(due.astype(np.int64)).to(device)
            positions_B = torch.from_numpy(positions.astype(np.int64)).to(device)
            self._mask.follow(slots_B, self._states.all_token_ids.gpu[slots_B, positions_B].long())
            followed[due] += 1
