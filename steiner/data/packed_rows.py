"""Rows of ordinary text, up to millions of them.

arrays (N, T) of token ids and loss weights -> TokenSequences
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import overload

import numpy as np

from steiner.types import TokenSequence


class PackedRows(Sequence[TokenSequence]):
    """Whole documents in rows of one length, with the loss weight of each token.

    Stored as two arrays (N, T), because millions of Python numbers would not fit into memory.
    """

    def __init__(self, ids_NT: np.ndarray, weights_NT: np.ndarray) -> None:
        self.ids_NT, self.weights_NT = ids_NT, weights_NT

    @classmethod
    def joined(cls, parts: Iterable[PackedRows]) -> PackedRows:
        """The rows of all `parts`, in their order."""
        parts = list(parts)
        return cls(
            np.concatenate([part.ids_NT for part in parts]),
            np.concatenate([part.weights_NT for part in parts]),
        )

    @property
    def lengths(self) -> list[int]:
        """Number of tokens of each row."""
        num_rows, row_tokens = self.ids_NT.shape
        return [row_tokens] * num_rows

    def __len__(self) -> int:
        return len(self.ids_NT)

    @overload
    def __getitem__(self, index: int) -> TokenSequence: ...
    @overload
    def __getitem__(self, index: slice) -> PackedRows: ...
    def __getitem__(self, index: int | slice) -> TokenSequence | PackedRows:
        ids, weights = self.ids_NT[index], self.weights_NT[index]
        if isinstance(index, slice):
            return PackedRows(ids, weights)
        return TokenSequence(tuple(ids.tolist()), tuple(weights.tolist()))


def lengths_of(sequences: Sequence[TokenSequence]) -> list[int]:
    """Number of tokens of each sequence."""
    if isinstance(sequences, PackedRows):
        return sequences.lengths
    return [len(sequence.token_ids) for sequence in sequences]
