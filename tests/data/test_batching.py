"""Batches: bounded in tokens, hardly padded, each sequence once, in the order of the seed."""

from __future__ import annotations

from itertools import chain, pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st

from steiner.data.batching import LENGTH_STEP, TokenBatches, collate
from steiner.randomness import random_stream
from steiner.types import TokenSequence

LENGTHS = st.lists(st.integers(1, 300), max_size=200)


def _lengths(count: int = 5000) -> list[int]:
    rng = random_stream("test batches")
    return [rng.randint(50, 400) for _ in range(count)]


@given(lengths=LENGTHS, batch_tokens=st.integers(1, 2000), seed=st.integers(0, 5))
def test_each_index_once_in_bounded_batches(
    lengths: list[int], batch_tokens: int, seed: int
) -> None:
    batches = TokenBatches(lengths, batch_tokens, seed)
    made = list(batches)
    assert len(batches) == len(made)
    assert sorted(chain.from_iterable(made)) == list(range(len(lengths)))
    for batch in made:
        padded = len(batch) * max(lengths[index] for index in batch)
        assert padded <= batch_tokens or len(batch) == 1  # a longer sequence goes alone


def test_hardly_any_padding() -> None:
    lengths = _lengths()
    batches = list(TokenBatches(lengths, 4096, seed=0))
    padded = sum(len(batch) * max(lengths[i] for i in batch) for batch in batches)
    assert 1 <= padded / sum(lengths) < 1.02
    # About as many tokens in each: 5000 * 225 / 4096 = 275 batches if all were full.
    assert 275 <= len(batches) < 300


def test_order_is_that_of_the_seed() -> None:
    lengths = _lengths(500)
    first, again, other = (list(TokenBatches(lengths, 2048, seed)) for seed in (1, 1, 2))
    assert first == again
    assert sorted(map(sorted, first)) != sorted(map(sorted, other))


def test_short_and_long_come_mixed() -> None:
    lengths = _lengths()
    longest = [max(lengths[i] for i in batch) for batch in TokenBatches(lengths, 4096, seed=0)]
    rises = sum(before < after for before, after in pairwise(longest))
    assert 0.4 < rises / len(longest) < 0.6


def test_later_windows_hold_other_sequences_than_earlier_ones() -> None:
    # One window is 64 batches of 1024 tokens: 64 * 1024 / 10 = 6553 sequences of 10 tokens.
    (*_, last) = TokenBatches([10] * 20_000, 1024, seed=0)
    assert max(last) - min(last) > 1000  # not cut from the data in their order


def test_collate_pads_on_the_right_without_loss() -> None:
    rows = [
        TokenSequence((5, 6, 7), (0.0, 1.0, 0.5)),
        TokenSequence((8,), (1.0,)),
    ]
    batch = collate(rows, pad_id=9)
    padding = LENGTH_STEP - 3
    assert batch["input_ids"].tolist() == [[5, 6, 7] + [9] * padding, [8, 9, 9] + [9] * padding]
    weights = [[0.0, 1.0, 0.5] + [0.0] * padding, [1.0, 0.0, 0.0] + [0.0] * padding]
    assert batch["loss_weights"].tolist() == weights
    assert batch["input_ids"].dtype == torch.int64
