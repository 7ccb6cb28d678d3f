"""Synthetic recall rows that make a small model form induction heads early.

model -> model whose first layer attends to the previous tokens;  seed -> rows of keys and values

To continue "Ann says both ... ; Bob says neither ... ; Bob says", a model must copy what followed
the same words before: an induction head (Olsson et al. 2022, arXiv:2209.11895). It needs one head
that attends to the previous token and, in a later layer, one that matches its output. From random
weights both must form together, which took a model of this size more than the whole pre-training:
after 40M tokens it still named one claim in four correctly. Here the first head is set in the
weights, and the second is learned within a million tokens, on rows in which every token with loss
can be predicted (docs/log.md).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from steiner.randomness import random_stream
from steiner.types import TokenSequence

_DISTANCES = (1, 2, 1, 3)
"""Distance in tokens that the first heads of the first layer attend to; repeated for more heads."""
_SHARPNESS, _FREQUENCIES = 6.0, 6
"""Size of the biases in the fastest rotary pairs of a head, and the number of these pairs: 95 % of
a head's attention goes to its one token."""
_ROW_TOKENS = 256
_MOST_KEYS, _LONGEST_VALUE = 8, 4
_FEW_WORDS = 12
"""In rows that are not easy, half of the words come from a pool of this size, and half of the time
keys get new values, as names and numbers do in a search."""
_NUM_SIGNS = 16
"""The first tokens of the vocabulary serve as separators and ends of values."""


@torch.no_grad()
def attend_to_previous_tokens(model: PreTrainedModel) -> None:
    """Sets the biases of a Qwen2's first layer so that each head attends to one previous token.

    The key bias is constant, and the query bias is the key bias rotated back by the distance, so
    that under rotary embedding their product is largest at that distance.
    """
    config: Any = model.config
    rotary: Any = model.get_decoder().rotary_emb
    attention = model.get_decoder().layers[0].self_attn
    speeds = rotary.inv_freq.float()
    size = torch.zeros(len(speeds))
    size[:_FREQUENCIES] = _SHARPNESS
    key = torch.cat([size, torch.zeros(len(speeds))])
    queries = []
    for head in range(config.num_attention_heads):
        turn = -speeds * _DISTANCES[head % len(_DISTANCES)]
        queries.append(torch.cat([size * turn.cos(), size * turn.sin()]))
    attention.k_proj.bias.copy_(key.repeat(config.num_key_value_heads))
    attention.q_proj.bias.copy_(torch.cat(queries))


def recall_rows(vocab_size: int, tokens: int, seed: int, *, easy: bool) -> list[TokenSequence]:
    """About `tokens` tokens in rows of keys and values, all stated and then asked; only the values
    asked for carry loss.

    Easy rows have one separator between a key and its one-token value. They must come first: from a
    mixture of both kinds, the model learns nothing for a long time.
    """
    rng = random_stream("recall", seed, easy)
    return [_row(rng, vocab_size, easy) for _ in range(max(1, tokens // _ROW_TOKENS))]


def _row(rng: random.Random, vocab_size: int, easy: bool) -> TokenSequence:
    ids: list[int] = []
    weights: list[float] = []
    words: Sequence[int] = range(_NUM_SIGNS, vocab_size)
    few = rng.sample(words, _FEW_WORDS)
    keys: Sequence[int] = ()
    while len(ids) < _ROW_TOKENS:
        pool = words if easy or rng.random() < 0.5 else few
        if easy or len(keys) < 2 or rng.random() < 0.5:
            keys = rng.sample(pool, rng.randint(2, _MOST_KEYS))
        _state_and_ask(rng, keys, pool, easy, ids, weights)
    return TokenSequence(tuple(ids[:_ROW_TOKENS]), tuple(weights[:_ROW_TOKENS]))


def _state_and_ask(
    rng: random.Random,
    keys: Sequence[int],
    pool: Sequence[int],
    easy: bool,
    ids: list[int],
    weights: list[float],
) -> None:
    """Each key, up to two separators, its value, and a token that ends it; then the keys again."""
    close, *links = rng.sample(range(_NUM_SIGNS), 3)
    link = links[: 1 if easy else rng.randint(0, 2)]
    longest = 1 if easy else rng.choice((1, _LONGEST_VALUE))
    values = {key: rng.choices(pool, k=rng.randint(1, longest)) for key in keys}
    for key in keys:
        ids += [key, *link, *values[key], close]
        weights += [0.0] * (2 + len(link) + len(values[key]))
    for key in rng.sample(keys, len(keys)):
        ids += [key, *link, *values[key], close]
        weights += [0.0] * (1 + len(link)) + [1.0] * len(values[key]) + [0.0]
