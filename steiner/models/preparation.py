"""Prepares a base model for the reasoning format: 14 new tokens, and embeddings for them.

model, tokenizer -> the same two, with the 14 tokens
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from steiner.format.grammar import SPECIAL_TOKENS
from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens
from steiner.randomness import random_stream

_NOISE = 0.1
"""Standard deviation of a new row's noise, as a multiple of that of the old embeddings. Without it,
tokens that a small tokenizer spells with the same pieces would start alike."""


def add_reasoning_vocabulary(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, seed: int = 0
) -> Vocabulary:
    """Adds the reasoning tokens that the tokenizer lacks, and grows the model's embeddings.

    Each new row is the mean of the rows of the words that its token stands for ("reasoning step
    start"), in the input embeddings and in the head. Tied weights stay tied. Padded vocabularies,
    such as Qwen2.5's, have rows for the new tokens already; those are overwritten.
    """
    known = tokenizer.get_vocab()
    new = [token for token in SPECIAL_TOKENS if token not in known]
    words = [_words(token, tokenizer) for token in new]  # before the tokenizer knows the tokens
    if add_reasoning_tokens(tokenizer):
        known = tokenizer.get_vocab()
        rows = {known[token]: of_token for token, of_token in zip(new, words, strict=True)}
        _embed(model, len(tokenizer), rows, seed)
    return Vocabulary.require(tokenizer)


def _words(token: str, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Token ids of the words in a special token's name."""
    words = " ".join(re.findall("[a-z]+", token))
    return list(tokenizer.encode(f" {words}", add_special_tokens=False))


def _embed(
    model: PreTrainedModel, size: int, words: Mapping[int, Sequence[int]], seed: int = 0
) -> None:
    """Grows the model to `size` tokens; a new token's row starts from the rows of its words."""
    if size > model.config.vocab_size:
        model.resize_token_embeddings(size, mean_resizing=False)
    weights: dict[int, torch.Tensor] = {}  # by identity: tied weights are one
    for module in (model.get_input_embeddings(), model.get_output_embeddings()):
        weight: Any = module.weight
        weights[id(weight)] = weight
    generator = torch.Generator()
    generator.manual_seed(random_stream("new tokens", seed).getrandbits(63))
    with torch.no_grad():
        for weight_VD in weights.values():
            deviation = weight_VD[: min(words)].std()
            for new, old in words.items():
                noise_D = torch.randn(weight_VD.shape[1], generator=generator).to(weight_VD)
                weight_VD[new] = weight_VD[list(old)].mean(0) + noise_D * deviation * _NOISE
