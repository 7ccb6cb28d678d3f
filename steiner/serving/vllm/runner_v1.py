"""The step budget on vLLM's V1 model runner, which tells what left, joined and moved in its batch.

BatchUpdate, logits (B, V) -> logits of which only what the limits allow is left

A request's tokens so far are in a list that the runner goes on appending to; what is new in it is
read when the next logits come. Imports nothing of vLLM, so that it is tested without.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from steiner.serving.vllm.batch_constraints import SlotBudgetMask, budget_of


class BatchUpdate(Protocol):
    """What vLLM's class of that name has; read in this order."""

    removed: Sequence[int]
    added: Sequence[tuple[int, Any, Sequence[int] | None, Sequence[int]]]
    """Row, SamplingParams, prompt ids, and the list of the tokens that the model writes."""
    moved: Sequence[tuple[int, int, Any]]
    """Row, new row, and whether both change places."""


@dataclass(slots=True)
class _Request:
    """A request in the batch, and how many of its tokens the limits have seen."""

    slot: int
    written: Sequence[int]
    num_followed: int = 0


class V1RunnerBudget:
    """Keeps every request's slot while its row changes."""

    def __init__(self, limits: SlotBudgetMask, num_slots: int, max_length: int) -> None:
        self._limits, self._num_slots, self._max_length = limits, num_slots, max_length
        self._rows: dict[int, _Request] = {}

    def update_state(self, update: BatchUpdate | None) -> None:
        """Takes over how the batch has changed; None where it has not."""
        if update is None:
            return
        for row in update.removed:
            self._rows.pop(row, None)
        for row, params, prompt, written in update.added:
            self._rows.pop(row, None)
            self._rows[row] = self._begin(params, prompt, written)
        for source, target, direction in update.moved:
            self._move(source, target, swap=direction.name == "SWAP")

    def _begin(self, params: Any, prompt: Sequence[int] | None, written: Sequence[int]) -> _Request:
        used = {request.slot for request in self._rows.values()}
        slot = next(slot for slot in range(self._num_slots) if slot not in used)
        room = None if prompt is None else self._max_length - len(prompt)
        self._limits.begin(slot, budget_of(params.extra_args, params.max_tokens, room))
        return _Request(slot, written)

    def _move(self, source: int, target: int, *, swap: bool) -> None:
        moved, other = self._rows.pop(source, None), self._rows.pop(target, None)
        if moved is not None:
            self._rows[target] = moved
        if swap and other is not None:
            self._rows[source] = other

    def apply(self, logits_BV: torch.Tensor) -> torch.Tensor:
        """The logits of all rows, within each row's limits."""
        self._follow()
        slots = [self._rows[row].slot for row in range(len(logits_BV))]
        return self._limits.constrain(logits_BV, torch.tensor(slots, device=logits_BV.device))

    def _follow(self) -> None:
        """Reads what has been written: one token a request, or all of a request that comes back
        after it had to leave for want of memory."""
        device = self._limits.class_of_V.device
        while due := [one for one in self._rows.values() if one.num_followed < len(one.written)]:
            tokens = [one.written[one.num_followed] for one in due]
            slots_B = torch.tensor([one.slot for one in due], device=device)
            self._limits.follow(slots_B, torch.tensor(tokens, device=device))
            for one in due:
                one.num_followed += 1
