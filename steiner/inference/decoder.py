"""The engine's interface to a model, and the choice of a decoder for each architecture.

model -> Decoder, KVCache
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from steiner.inference.kv_cache import KVCache, PromptBatch
from steiner.inference.packed_decoder import PackedDecoder

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Decoder(Protocol):
    """Computes the logits of a batch of rows that share one KVCache."""

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the products with weights."""

    def refresh(self) -> None:
        """Reads the model's weights again."""

    def cell_bytes(self) -> list[int]:
        """Bytes of one token of one row in each tensor of the cache."""

    def prefill(self, prompts: PromptBatch) -> None:
        """Writes the prompts into the cache, left of its end; the cache has room for them."""

    def decode(self, tokens_B: torch.Tensor) -> torch.Tensor:
        """Writes one token to each active row; returns the next token's logits, float32 (B, V)."""


def decoder_for(
    model: PreTrainedModel, max_batch: int, max_length: int, dtype: torch.dtype | None = None
) -> tuple[Decoder, KVCache]:
    """The fastest decoder for this model's architecture, and the cache that it uses.

    A decoder with a copy of the weights keeps it in `dtype`, by default the model's. Imports
    transformers only if the model's own forward is needed.
    """
    cache = KVCache(max_batch, model.device)
    if PackedDecoder.supports(model):
        return PackedDecoder(model, cache, max_length, dtype), cache
    from steiner.inference.hf_decoder import HFDecoder

    return HFDecoder(model, cache), cache
