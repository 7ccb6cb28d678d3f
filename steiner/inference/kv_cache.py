"""The attention cache of a batch that rows join and leave; every row writes at the same column.

keys, values of B rows, one token each -> all keys and values that these rows may attend to

Each row's tokens end at the shared column `end`, whatever the row's length; columns left of its
start are masked. So a decoding step writes one plain slice and reads one window, and a row that
joins only copies its prompt to the left of `end`. Rows stay contiguous: when a row leaves, the last
row moves to its place.

A cell is one token of one row. `limit` bounds the memory: rows times columns never exceed
`max_cells`, and the caller asks `max_rows` before it adds a row or a column.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch

_ODD = 16
"""Keeps the capacity off powers of two, for which all numbers of a column share a cache set."""
_SMALLEST_CAPACITY = 256 + _ODD


def doubled(needed: int, capacity: int = 0) -> int:
    """The columns of a cache far from its limit: `capacity`, doubled until it holds half as much
    again as is needed."""
    capacity = max(capacity, _SMALLEST_CAPACITY)
    while capacity < needed + needed // 2:
        capacity = 2 * capacity - _ODD
    return capacity


def with_headroom(columns: int) -> int:
    """These columns and an eighth more: moving the window every few steps would take long."""
    return columns + columns // 8 + 1


@dataclass(frozen=True, slots=True)
class PromptBatch:
    """Prompts of rows that join together; equal prompts are computed once (P distinct ones)."""

    ids: torch.Tensor
    """int64 (P, T), padded on the left with 0."""
    real: torch.Tensor
    """1 for tokens, 0 for padding: int64 (P, T)."""
    rows: slice
    """The rows that join."""
    source: torch.Tensor
    """Index of each row's prompt among the P: int64 (B,)."""

    @classmethod
    def of(
        cls, prompts: Sequence[tuple[int, ...]], first_row: int, device: torch.device
    ) -> PromptBatch:
        """The batch of `prompts`, one per row, starting at row `first_row`."""
        index = {prompt: position for position, prompt in enumerate(dict.fromkeys(prompts))}
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
        """T, the length of the longest prompt."""
        return self.ids.shape[1]

    @property
    def positions(self) -> torch.Tensor:
        """Position of each token in its prompt, 0 on padding: int64 (P, T)."""
        return (self.real.cumsum(1) - 1).clamp_(min=0)


class KVCache:
    """Keys and values of every layer: (rows, KV heads, columns, head width).

    Memory follows use: layers are allocated when first written, and rows and columns grow by
    doubling, rows up to `max_batch`. Near the limit, rows are as many as needed and columns grow by
    an eighth.
    """

    def __init__(self, max_batch: int, device: torch.device) -> None:
        self.max_batch, self.device = max_batch, device
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []
        self.rows = 0
        """Number of active rows; they are the first ones."""
        self.first = 0
        """Leftmost column that an active row uses."""
        self.end = 0
        """Column that the next token is written to."""
        self.max_bytes = self.max_cells = sys.maxsize
        self._capacity = 0
        self._row_capacity = 0
        self._starts = [0] * max_batch
        self._starts_B = torch.zeros(max_batch, dtype=torch.int64, device=device)
        self._bias = torch.zeros(max_batch, 0, device=device)

    def limit(self, num_bytes: int, cell_bytes: Sequence[int]) -> None:
        """Sets the most memory; `cell_bytes` are the bytes of one cell in each tensor.

        Tensors are copied one by one when the shape changes, so one of them exists twice.
        """
        self.max_bytes = num_bytes
        self.max_cells = num_bytes // (sum(cell_bytes) + max(cell_bytes))

    @property
    def nbytes(self) -> int:
        """Bytes of all keys and values."""
        return sum(tensor.nbytes for tensor in (*self.keys, *self.values))

    @property
    def length(self) -> int:
        """Columns of the window: tokens of the longest active row."""
        return self.end - self.first

    def max_rows(self, columns: int) -> int:
        """Most rows that fit if the window has so many columns, the next token's included."""
        return min(self.max_batch, self.max_cells // columns)

    def make_room(self, rows: int, longest: int) -> None:
        """Ensures `rows` rows, `longest` columns left of `end`, and at least one right of it.

        The caller has made sure that they fit, by `max_rows`.
        """
        if self.rows == 0:
            self.first = self.end
        has_rows, has_columns = rows <= self._row_capacity, longest <= self.end < self._capacity
        if has_rows and has_columns:
            return
        live = max(longest, self.length)
        end = self.end if has_columns else live
        columns = self._capacity if has_columns else doubled(live + 1, self._capacity)
        wanted = self._row_capacity if has_rows else max(rows, 2 * self._row_capacity)
        wanted = min(wanted, self.max_batch)
        if wanted * columns > self.max_cells:
            cells = self._row_capacity * self._capacity
            wanted, end = rows, live
            columns = min(self.max_cells // rows, max(cells // rows, with_headroom(live + 1)))
        self._relocate(wanted, columns, end)

    def _relocate(self, rows: int, columns: int, end: int) -> None:
        """Gives all tensors another shape, with the window moved so that it ends at `end`."""
        assert end < columns, "no column for the next token"
        assert rows * columns <= self.max_cells, "the caller asks max_rows first"
        shift = end - self.end
        self._row_capacity, self._capacity = rows, columns
        for layers in (self.keys, self.values):
            for index, old in enumerate(layers):
                layers[index] = self._copied(old, shift)
        self.first, self.end = self.first + shift, end
        self._starts = [start + shift for start in self._starts]
        self._starts_B += shift
        numbers = torch.arange(columns, device=self.device)
        self._bias = torch.zeros(self.max_batch, columns, device=self.device)
        self._bias.masked_fill_(numbers < self._starts_B[:, None], -torch.inf)

    def _copied(self, old: torch.Tensor, shift: int) -> torch.Tensor:
        """A tensor of the present capacity with the window of the active rows, moved by `shift`
        columns."""
        heads, width = old.shape[1], old.shape[3]
        new = old.new_zeros(self._row_capacity, heads, self._capacity, width)
        first, end = self.first, self.end
        new[: self.rows, :, first + shift : end + shift] = old[: self.rows, :, first:end]
        return new

    def begin(self, row: int, length: int) -> None:
        """Starts `row` so that a prompt of `length` tokens ends left of `end`."""
        start = self.end - length
        self._starts[row] = start
        self._starts_B[row] = start
        self._bias[row, :start] = -torch.inf
        self._bias[row, start:] = 0

    def write_prompt(
        self, layer: int, prompts: PromptBatch, keys: torch.Tensor, values: torch.Tensor
    ) -> None:
        """Copies the keys and values of prompts, (P, KV, T, d), to the left of `end`."""
        self._allocate(layer, keys, values)
        start = self.end - prompts.width
        for tensor, new in ((self.keys[layer], keys), (self.values[layer], values)):
            tensor[prompts.rows, :, start : self.end] = new[prompts.source]

    def append(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes one token of each active row, (B, KV, 1, d).

        Returns the window of the active rows as stored, this token included.
        """
        self._allocate(layer, keys, values)
        windows = []
        for tensor, new in ((self.keys[layer], keys), (self.values[layer], values)):
            active = tensor[: self.rows]
            active.narrow(2, self.end, 1).copy_(new)
            windows.append(active.narrow(2, self.first, self.end + 1 - self.first))
        return windows[0], windows[1]

    def _allocate(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        if layer < len(self.keys):
            return
        # Zeros, not uninitialised memory: a masked column weighs 0, and 0 times NaN is NaN.
        for layers, new in ((self.keys, keys), (self.values, values)):
            heads, width = new.shape[1], new.shape[3]
            layers.append(new.new_zeros(self._row_capacity, heads, self._capacity, width))

    @property
    def bias(self) -> torch.Tensor:
        """The mask to add to the window's scores: 0, or -inf left of a row's start; (B, T)."""
        return self._bias[: self.rows, self.first : self.end + 1]

    @property
    def positions(self) -> torch.Tensor:
        """Position of each active row's next token: (B,)."""
        return self.end - self._starts_B[: self.rows]

    def move(self, source: int, target: int) -> None:
        """Copies row `source` to row `target`."""
        live = slice(self._starts[source], self.end)
        for tensor in (*self.keys, *self.values):
            tensor[target, :, live] = tensor[source, :, live]
        self._starts[target] = self._starts[source]
        self._starts_B[target] = self._starts_B[source]
        self._bias[target] = self._bias[source]

    def resize(self, rows: int) -> None:
        """Sets the number of active rows, and adapts the window."""
        self.rows = rows
        self.first = min(self._starts[:rows], default=self.end)

    def clear(self) -> None:
        """Drops all rows and frees the memory."""
        self.keys, self.values = [], []
        self._capacity = self._row_capacity = self.end = 0
        self.resize(0)
