"""Looking back: what a small model must be able to do before it can learn anything from a context.

model -> model whose first layer looks at the tokens just before;  seed -> rows of keys and values

"Ann says both ... ; Bob says neither ... ; Bob says" can go on only with what stands behind the
same words before: an induction head (Olsson et al. 2022, arXiv:2209.11895). It needs a head that
looks at the previous token and, in a later layer, one that matches what that head has found. From
random weights both must come about together, which in a model of this size took more than the whole
pre-training: after 40M tokens of text it still named one claim in four rightly. Here the first
comes with the weights, and the second is learnt within a million tokens, on rows in which all that
carries loss can be known (docs/log.md).
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
"""How many tokens back the first heads of the first layer look, and so on over again."""
_SHARPNESS, _FREQUENCIES = 6.0, 6
"""Size of the biases in the fastest pairs of a head, and how many those are: 19 parts in 20 of a
head's attention go to its one token."""
_ROW_TOKENS = 256
_MOST_KEYS, _LONGEST_VALUE = 8, 4
_FEW_WORDS = 12
"""So many make half of what is told in the rows that are not easy, and half the time the keys of
before get new values: as the same names and numbers come again and again in a search."""
_NUM_SIGNS = 16
"""The first tokens of the vocabulary close what is told, or stand between a key and its value."""


@torch.no_grad()
def look_back(model: PreTrainedModel) -> None:
    """Makes each head of a Qwen2's first layer look at one of the tokens before, by its biases.

    The key's bias is the same everywhere, the query's is that turned back by the distance, so under
    rotary embedding their product is largest at just that distance.
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
    """About `tokens` tokens in rows of keys with values, all told and then asked; only the values
    asked for carry loss.

    The easy rows have one sign between a key and its value of one token, and must come first: from
    both kinds mixed nothing is learnt for long.
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
        _tell_and_ask(rng, keys, pool, easy, ids, weights)
    steps = (-1,) * _ROW_TOKENS
    return TokenSequence(tuple(ids[:_ROW_TOKENS]), tuple(weights[:_ROW_TOKENS]), steps)


def _tell_and_ask(
    rng: random.Random,
    keys: Sequence[int],
    pool: Sequence[int],
    easy: bool,
    ids: list[int],
    weights: list[float],
) -> None:
    """Each of the keys, no to two signs that link it to its value, and a sign that closes it."""
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
