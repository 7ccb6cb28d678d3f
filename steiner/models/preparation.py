"""Prepares a base model for the reasoning format: 14 new tokens, and embeddings for them.

model, tokenizer -> the same two, with the 14 tokens
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens
from steiner.randomness import random_stream

_NOISE = 0.5
"""Standard deviation of a new row's noise, as a multiple of that of the old embeddings."""


def add_reasoning_vocabulary(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, seed: int = 0
) -> Vocabulary:
    """Adds the reasoning tokens that the tokenizer lacks, and grows the model's embeddings."""
    if num_new := add_reasoning_tokens(tokenizer):
        grow_embeddings(model, len(tokenizer), num_new, seed)
    return Vocabulary.require(tokenizer)


def grow_embeddings(model: PreTrainedModel, size: int, num_new: int, seed: int = 0) -> None:
    """Gives the model embeddings for a tokenizer of `size` tokens, the last `num_new` of them new.

    Each new row is the mean of the old rows plus a little noise, in the input embeddings and in the
    head. Padded vocabularies, such as Qwen2.5's, have rows for the new tokens already; those are
    overwritten.
    """
    old = size - num_new
    if size > model.config.vocab_size:
        model.resize_token_embeddings(size, mean_resizing=False)
    weights: dict[int, torch.Tensor] = {}  # by identity: tied weights are one
    for module in (model.get_input_embeddings(), model.get_output_embeddings()):
        weight: Any = module.weight
        weights[id(weight)] = weight
    noise = torch.Generator().manual_seed(random_stream("new tokens", seed).getrandbits(63))
    with torch.no_grad():
        for weight_VD in weights.values():
            old_VD, new_VD = weight_VD[:old], weight_VD[old:size]
            noise_VD = torch.randn(new_VD.shape, generator=noise).to(new_VD)
            new_VD.copy_(old_VD.mean(0) + noise_VD * old_VD.std() * _NOISE)
