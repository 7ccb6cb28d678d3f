"""The embedded engine's mask for an engine that reorders its batch at every step.

(slots of B requests, logits (B, V)) -> logits with -inf for tokens that are not allowed

vLLM's runners keep the state of each request in a slot, and name the slots of the logits' rows at
every step. Both kinds of runner use this class. Nothing here imports vLLM.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch

from steiner.format import grammar
from steiner.format.grammar import GrammarState
from steiner.format.tokenizer import Vocabulary
from steiner.inference.budget import Budget, BudgetMask, shortest_completion
from steiner.types import UserError

_NUM_STATES = len(GrammarState)


class SlotBudgetMask(BudgetMask):
    """A BudgetMask of up to `num_slots` requests; each keeps its slot until it ends.

    Adds `constrain` and `follow`, which take the slots of a batch. Replaces `begin`, because here
    the model writes the opening too.
    """

    def __init__(
        self, vocabulary: Vocabulary, vocab_size: int, num_slots: int, device: torch.device
    ) -> None:
        super().__init__(vocabulary, vocab_size, num_slots, device)
        # A batch can hold a request for one step after its last token. The token of that step is
        # discarded, but drawing fails if no token is allowed.
        closing_V = torch.where(self.class_of_V == grammar.CLOSE, 0.0, -torch.inf)
        for state in (GrammarState.DONE, GrammarState.BROKEN):
            self.mask_of_mode[state::_NUM_STATES] = closing_V

    def begin(self, row: int, budget: Budget, *, reasoning: bool = True) -> None:
        """Starts a slot before the first token of a completion."""
        super().begin(row, budget, reasoning=reasoning)
        if reasoning:
            start = [GrammarState.BEGIN, 0, budget.max_tokens]
            self._fields[:3, row] = torch.tensor(start, device=self._device)

    def constrain(self, logits_BV: torch.Tensor, slots_B: torch.Tensor) -> torch.Tensor:
        """The logits of the requests in these slots, with -inf for tokens that are not allowed.

        If another constraint (a JSON schema, `min_tokens`, a list of bad words) forbids every token
        that the format allows, the format wins.
        """
        mask_BV = self._batch(slots_B).mask(len(slots_B))
        logits_BV += mask_BV
        nothing_left_B1 = logits_BV.amax(1, keepdim=True) == -torch.inf
        return torch.where(nothing_left_B1, mask_BV, logits_BV)

    def follow(self, slots_B: torch.Tensor, tokens_B: torch.Tensor) -> None:
        """Advances the requests in these slots by one token each; the slots are distinct."""
        batch = self._batch(slots_B)
        batch.advance(tokens_B)
        self._fields[:, slots_B] = batch._fields

    def _batch(self, slots_B: torch.Tensor) -> SlotBudgetMask:
        """A copy whose first rows are these slots."""
        batch = copy.copy(self)
        batch._fields = self._fields[:, slots_B]
        return batch


def budget_of(
    extra_args: Mapping[str, Any] | None, max_tokens: int | None, room: int | None = None
) -> Budget:
    """The budget of a vLLM request.

    `min_steps`, `max_steps` and `max_reasoning_tokens` come from its extra arguments; `max_tokens`
    is at most the `room` that the context has after the prompt. Raises UserError if they contradict
    each other or are not whole numbers. A room that is too small for the format is no error: by the
    time it is known, the request cannot be refused any more.
    """
    given = extra_args or {}
    limits = [] if max_tokens is None else [max_tokens]
    if room is not None:
        limits.append(max(room, shortest_completion()))
    max_tokens_given = {"max_tokens": min(limits)} if limits else {}
    return Budget(
        min_steps=_whole_number(given, "min_steps") or 0,
        max_steps=_whole_number(given, "max_steps"),
        max_reasoning_tokens=_whole_number(given, "max_reasoning_tokens"),
        **max_tokens_given,
    )


def is_direct(extra_args: Mapping[str, Any] | None) -> bool:
    """True for a request for a direct answer: `reasoning` is 0 in its extra arguments."""
    return _whole_number(extra_args or {}, "reasoning") == 0


def _whole_number(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError(f"{name} is {value!r}", "give a whole number")
    return value
