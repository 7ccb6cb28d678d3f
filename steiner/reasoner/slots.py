"""The attention cache of a batch that rows join and leave: every row writes at the same column.

keys, values of B rows, one token each -> all keys and values that these rows may attend to

A row's tokens occupy the columns up to the shared `end`, however short or long the row is; what
lies left of its start is masked. So a decoding step writes one plain slice (no scattered index),
reads one window, and a row that joins only copies its prompt to the left of `end`. Rows are kept
contiguous: the last one moves into the place of one that has left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

_SMALLEST_CAPACITY = 256


@dataclass(frozen=True, slots=True)
class PromptBatch:
    """Prompts of rows that join together; equal ones are computed once (P distinct ones)."""

    ids: torch.Tensor
    """int64 (P, T), padded on the left with 0."""
    real: torch.Tensor
    """1 where `ids` are no padding: int64 (P, T)."""
    rows: slice
    """The rows that join."""
    source: torch.Tensor
    """Which of the P prompts each of them has: int64 (B,)."""

    @classmethod
    def of(
        cls, prompts: Sequence[tuple[int, ...]], first_row: int, device: torch.device
    ) -> PromptBatch:
        """The batch of `prompts`, one a row, from row `first_row` on."""
        index = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts))}
        width = max(map(len, index))
        ids = [(0,) * (width - len(prompt)) + prompt for prompt in index]
        real = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in index]
        return cls(
            ids=torch.tensor(ids, dtype=torch.int64, device=device),
            real=torch.tensor(real, dtype=torch.int64, device=device),
            rows=slice(first_row, first_row + len(prompts)),
            source=torch.tensor([index[prompt] for prompt in prompts], device=device),
        )

    @property
    def width(self) -> int:
        """T, the longest prompt."""
        return self.ids.shape[1]

    @property
    def positions(self) -> torch.Tensor:
        """Position of each token in its prompt, 0 on padding: int64 (P, T)."""
        return (self.real.cumsum(1) - 1).clamp_(min=0)


class SlotCache:
    """Keys and values, each (max_batch, KV heads, columns, head width), of every layer.

    Layers are allocated when first written, so that any model's shapes fit.
    """

    def __init__(self, max_batch: int, device: torch.device) -> None:
        self.max_batch, self.device = max_batch, device
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []
        self.rows = 0
        """Active rows: the first ones."""
        self.first = 0
        """Leftmost column that an active row uses."""
        self.end = 0
        """Column that the next token is written to."""
        self._capacity = 0
        self._starts = [0] * max_batch
        self._starts_B = torch.zeros(max_batch, dtype=torch.int64, device=device)
        self._bias = torch.zeros(max_batch, 0, device=device)

    def make_room(self, longest: int) -> None:
        """Sees to it that `longest` columns lie left of `end`, and at least one right of it."""
        if self.rows == 0:
            self.first = self.end
        live = self.end - self.first
        if self.end >= longest and self.end < self._capacity:
            return
        needed = max(longest, live)
        capacity = max(self._capacity, _SMALLEST_CAPACITY)
        while capacity < 2 * needed:
            capacity *= 2
        self._relocate(needed, capacity)

    def _relocate(self, end: int, capacity: int) -> None:
        window = slice(self.first, self.end)
        self._capacity, shift = capacity, end - self.end
        live = slice(window.start + shift, window.stop + shift)
        for layers in (self.keys, self.values):
            for index, old in enumerate(layers):
                layers[index] = old.new_zeros(*old.shape[:2], capacity, old.shape[3])
                layers[index][: self.rows, :, live] = old[: self.rows, :, window]
        self.first, self.end = self.first + shift, end
        self._starts = [start + shift for start in self._starts]
        self._starts_B += shift
        columns = torch.arange(capacity, device=self.device)
        self._bias = torch.zeros(self.max_batch, capacity, device=self.device)
        self._bias.masked_fill_(columns < self._starts_B[:, None], -torch.inf)

    def begin(self, row: int, length: int) -> None:
        """Lets `row` start so that a prompt of `length` tokens ends left of `end`."""
        start = self.end - length
        self._starts[row] = start
        self._starts_B[row] = start
        self._bias[row, :start] = -torch.inf
        self._bias[row, start:] = 0

    def write_prompt(
        self, layer: int, prompts: PromptBatch, keys: torch.Tensor, values: torch.Tensor
    ) -> None:
        """Copies the keys and values (P, KV, T, d) of prompts to left of `end`."""
        self._allocate(layer, keys, values)
        columns = slice(self.end - prompts.width, self.end)
        self.keys[layer][prompts.rows, :, columns] = keys[prompts.source]
        self.values[layer][prompts.rows, :, columns] = values[prompts.source]

    def append(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes one token of each active row, (B, KV, 1, d); returns the window of all rows."""
        self._allocate(layer, keys, values)
        rows, column = slice(self.rows), slice(self.end, self.end + 1)
        all_keys, all_values = self.keys[layer], self.values[layer]
        all_keys[rows, :, column] = keys
        all_values[rows, :, column] = values
        window = slice(self.first, self.end + 1)
        return all_keys[rows, :, window], all_values[rows, :, window]

    def _allocate(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        if layer < len(self.keys):
            return
        for layers, new in ((self.keys, keys), (self.values, values)):
            # Zeros, not garbage: a masked column weighs 0, and 0 times NaN is NaN.
            layers.append(new.new_zeros(self.max_batch, new.shape[1], self._capacity, new.shape[3]))

    @property
    def bias(self) -> torch.Tensor:
        """What is added to the scores of the window: 0, or -inf left of a row's start; (B, T)."""
        return self._bias[: self.rows, self.first : self.end + 1]

    @property
    def positions(self) -> torch.Tensor:
        """Position of the token that each active row writes next: (B,)."""
        return self.end - self._starts_B[: self.rows]

    def move(self, source: int, target: int) -> None:
        """Copies a row to another place."""
        window = slice(self._starts[source], self.end)
        for tensor in (*self.keys, *self.values):
            tensor[target, :, window] = tensor[source, :, window]
        self._starts[target] = self._starts[source]
        self._starts_B[target] = self._starts_B[source]
        self._bias[target] = self._bias[source]

    def resize(self, rows: int) -> None:
        """Sets the number of active rows, and with it the window."""
        self.rows = rows
        self.first = min(self._starts[:rows], default=self.end)

    def clear(self) -> None:
        """Forgets all rows and frees the memory."""
        self.keys, self.values = [], []
        self._capacity = self.end = 0
        self.resize(0)
