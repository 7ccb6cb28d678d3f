"""Many TokenSequences in a few arrays: millions of Python numbers would not fit into memory.

arrays of token ids and loss weights -> TokenSequences
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


class FlatSequences(Sequence[TokenSequence]):
    """Sequences of any length, one after the other.

    ids_N (N,) int32, weights_N (N,) float16 of all N tokens; ends_B (B,) int64, where each of the B
    sequences ends.
    """

    def __init__(self, ids_N: np.ndarray, weights_N: np.ndarray, ends_B: np.ndarray) -> None:
        self.ids_N, self.weights_N, self.ends_B = ids_N, weights_N, ends_B

    @classmethod
    def of(cls, sequences: Iterable[TokenSequence]) -> FlatSequences:
        """The same sequences in arrays."""
        sequences = list(sequences)
        ids = [np.array(sequence.token_ids, dtype=np.int32) for sequence in sequences]
        weights = [np.array(sequence.loss_weights, dtype=np.float16) for sequence in sequences]
        ends = np.cumsum([len(part) for part in ids], dtype=np.int64)
        empty = [np.zeros(0)] if not ids else []
        return cls(
            np.concatenate(ids or empty).astype(np.int32),
            np.concatenate(weights or empty).astype(np.float16),
            ends,
        )

    @classmethod
    def joined(cls, parts: Iterable[FlatSequences]) -> FlatSequences:
        """The sequences of all `parts`, in their order."""
        parts = [*parts] or [cls.of(())]
        shifts = np.cumsum([0, *(len(part.ids_N) for part in parts[:-1])])
        return cls(
            np.concatenate([part.ids_N for part in parts]),
            np.concatenate([part.weights_N for part in parts]),
            np.concatenate([p.ends_B + shift for p, shift in zip(parts, shifts, strict=True)]),
        )

    @property
    def lengths(self) -> list[int]:
        """Number of tokens of each sequence."""
        lengths: list[int] = np.diff(self.ends_B, prepend=0).tolist()
        return lengths

    def take(self, chosen: Sequence[int]) -> FlatSequences:
        """The sequences with these indices."""
        starts = self.ends_B - np.array(self.lengths)
        spans = [slice(starts[index], self.ends_B[index]) for index in chosen]
        return FlatSequences(
            np.concatenate([self.ids_N[span] for span in spans] or [self.ids_N[:0]]),
            np.concatenate([self.weights_N[span] for span in spans] or [self.weights_N[:0]]),
            np.cumsum([span.stop - span.start for span in spans], dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.ends_B)

    @overload
    def __getitem__(self, index: int) -> TokenSequence: ...
    @overload
    def __getitem__(self, index: slice) -> FlatSequences: ...
    def __getitem__(self, index: int | slice) -> TokenSequence | FlatSequences:
        if isinstance(index, slice):
            return self.take(range(*index.indices(len(self))))
        end = self.ends_B[index]
        start = self.ends_B[index - 1] if index % len(self) else 0
        return TokenSequence(
            tuple(self.ids_N[start:end].tolist()), tuple(self.weights_N[start:end].tolist())
        )


def lengths_of(sequences: Sequence[TokenSequence]) -> list[int]:
    """Number of tokens of each sequence."""
    if isinstance(sequences, PackedRows | FlatSequences):
        return sequences.lengths
    return [len(sequence.token_ids) for sequence in sequences]
