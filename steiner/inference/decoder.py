"""What the engine asks of a model, and which way of decoding a model takes.

model -> Decoder, and the KVCache that it works on
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from steiner.inference.kv_cache import KVCache, PromptBatch
from steiner.inference.qwen2_decoder import Qwen2Decoder

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Decoder(Protocol):
    """What the engine asks of a model."""

    def refresh(self) -> None:
        """Takes up changed weights."""

    def prefill(self, prompts: PromptBatch) -> None:
        """Writes the prompts into the cache, left of its end, where there is room for them."""

    def decode(self, tokens_B: torch.Tensor) -> torch.Tensor:
        """Writes one token to each active row; the next token's logits, float32 (B, V)."""


def decoder_for(model: PreTrainedModel, max_batch: int, max_length: int) -> tuple[Decoder, KVCache]:
    """The fastest decoder that this model's architecture has, and the cache that it works on.

    Imports transformers only where the model's own forward is needed.
    """
    if Qwen2Decoder.supports(model):
        cache = KVCache(max_batch, model.device, column_last_keys=True)
        return Qwen2Decoder(model, cache, max_length), cache
    from steiner.inference.hf_decoder import HFDecoder

    cache = KVCache(max_batch, model.device)
    return HFDecoder(model, cache), cache
