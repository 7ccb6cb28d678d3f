"""The step budget on vLLM's V1 model runner, which reports removed, added and moved rows.

BatchUpdate, logits (B, V) -> logits with -inf for tokens that are not allowed

The runner appends each request's tokens to a list; new tokens are read from it when the next logits
arrive. Imports nothing from vLLM, so that it can be tested without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from steiner.serving.vllm.batch_constraints import SlotBudgetMask, budget_of, is_direct


class BatchUpdate(Protocol):
    """The fields of vLLM's class of that name, applied in this order."""

    removed: Sequence[int]
    added: Sequence[tuple[int, Any, Sequence[int] | None, Sequence[int]]]
    """(row, SamplingParams, prompt ids, list of the model's tokens)."""
    moved: Sequence[tuple[int, int, Any]]
    """(row, new row, direction); the direction SWAP exchanges the two."""


@dataclass(slots=True)
class _Request:
    """A request in the batch, and the number of its tokens that the mask has followed."""

    slot: int
    written: Sequence[int]
    num_followed: int = 0


class V1RunnerBudget:
    """Keeps each request in one slot of the mask while its row changes."""

    def __init__(self, mask: SlotBudgetMask, num_slots: int, max_length: int) -> None:
        self._mask, self._num_slots, self._max_length = mask, num_slots, max_length
        self._rows: dict[int, _Request] = {}

    def update_state(self, update: BatchUpdate | None) -> None:
        """Applies the changes of the batch; None if there are none."""
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
        budget = budget_of(params.extra_args, params.max_tokens, room)
        self._mask.begin(slot, budget, reasoning=not is_direct(params.extra_args))
        return _Request(slot, written)

    def _move(self, source: int, target: int, *, swap: bool) -> None:
        moved, other = self._rows.pop(source, None), self._rows.pop(target, None)
        if moved is not None:
            self._rows[target] = moved
        if swap and other is not None:
            self._rows[source] = other

    def apply(self, logits_BV: torch.Tensor) -> torch.Tensor:
        """Masks the logits of all rows."""
        self._follow()
        slots = [self._rows[row].slot for row in range(len(logits_BV))]
        return self._mask.constrain(logits_BV, torch.tensor(slots, device=logits_BV.device))

    def _follow(self) -> None:
        """Reads new tokens: one per request, or all tokens of a request that was preempted."""
        device = self._mask.class_of_V.device
        while due := [one for one in self._rows.values() if one.num_followed < len(one.written)]:
            tokens = [one.written[one.num_followed] for one in due]
            slots_B = torch.tensor([one.slot for one in due], device=device)
            self._mask.follow(slots_B, torch.tensor(tokens, device=device))
            for one in due:
                one.num_followed += 1
