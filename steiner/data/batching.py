"""Batches of TokenSequences with about the same number of tokens and little padding.

TokenSequences -> lists of indices -> tensors (B, T)

A batch is limited in tokens, not rows, so that short and long sequences cost the same. Sequences
are grouped by length within a shuffled window, which keeps the order random overall.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from steiner.randomness import random_stream
from steiner.types import TokenSequence

WINDOW_BATCHES = 64
LENGTH_STEP = 32
"""Batches are padded to a multiple of this length. oneDNN compiles and caches kernels for each
shape; a new length in each batch cost gigabytes (docs/log.md)."""


@dataclass(frozen=True)
class TokenBatches:
    """Yields the batches of one epoch; another `seed` gives another order."""

    lengths: Sequence[int]
    batch_tokens: int
    seed: int
    rank: int = 0
    num_processes: int = 1
    """Each process takes every `num_processes`-th row of each batch."""

    def __iter__(self) -> Iterator[list[int]]:
        return (batch[self.rank :: self.num_processes] for batch in self._batches)

    def __len__(self) -> int:
        return len(self._batches)

    @property
    def _batches(self) -> list[list[int]]:
        cached: list[list[int]] | None = self.__dict__.get("_made")
        if cached is None:
            cached = self._make()
            object.__setattr__(self, "_made", cached)
        return cached

    def _make(self) -> list[list[int]]:
        rng = random_stream("batches", self.seed)
        order = list(range(len(self.lengths)))
        rng.shuffle(order)
        mean = max(1.0, sum(self.lengths) / max(1, len(order)))
        window = max(1, int(WINDOW_BATCHES * self.batch_tokens / mean))
        batches: list[list[int]] = []
        for start in range(0, len(order), window):
            batches += self._fill(sorted(order[start : start + window], key=self._length))
        rng.shuffle(batches)
        return batches

    def _length(self, index: int) -> int:
        return self.lengths[index]

    def _fill(self, indices: list[int]) -> list[list[int]]:
        """Cuts `indices`, sorted by length, into batches with rows x longest <= batch_tokens."""
        batches: list[list[int]] = [[]]
        for index in indices:
            if batches[-1] and (len(batches[-1]) + 1) * self.lengths[index] > self.batch_tokens:
                batches.append([])
            batches[-1].append(index)
        return [batch for batch in batches if batch]


def padded_length(longest: int) -> int:
    """The length of a batch whose longest row has so many tokens."""
    return -(-longest // LENGTH_STEP) * LENGTH_STEP


def collate(rows: Sequence[TokenSequence], pad_id: int) -> dict[str, torch.Tensor]:
    """input_ids (B, T) int64 padded on the right, loss_weights (B, T) float32, 0 on padding.

    One row of padding if there are no rows.

    No attention mask is needed: under causal attention nothing attends to padding on its right.
    """
    longest = max((len(row.token_ids) for row in rows), default=1)
    shape = (max(1, len(rows)), padded_length(longest))
    ids_BT = torch.full(shape, pad_id, dtype=torch.int64)
    weights_BT = torch.zeros(shape)
    for index, row in enumerate(rows):
        ids_BT[index, : len(row.token_ids)] = torch.tensor(row.token_ids)
        weights_BT[index, : len(row.token_ids)] = torch.tensor(row.loss_weights)
    return {"input_ids": ids_BT, "loss_weights": weights_BT}
