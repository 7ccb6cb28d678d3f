"""One decoding step of a batch, for any causal language model of transformers.

tokens (B,) + cache -> logits (B, V)

Calls the model's own forward with a cache that rows join and leave. packed_decoder.py does the same
faster for two architectures.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache

from steiner.inference.kv_cache import KVCache, PromptBatch
from steiner.models.evaluation_mode import evaluating
from steiner.types import UserError


class HFDecoder:
    """The Decoder of any transformers model with a key-value cache.

    Raises UserError for a model with a recurrent state, because rows cannot share it.
    """

    def __init__(self, model: PreTrainedModel, cache: KVCache) -> None:
        if getattr(model, "_is_stateful", False):
            raise UserError(
                f"{type(model).__name__} keeps a recurrent state",
                "use a model with plain attention layers",
            )
        self._model, self._cache = model, cache
        # A prefill needs no logits; of a whole batch of prompts they take gigabytes.
        fewer = "logits_to_keep" in inspect.signature(type(model).forward).parameters
        self._fewest_logits = {"logits_to_keep": 1} if fewer else {}

    @property
    def dtype(self) -> torch.dtype:
        """That of the model."""
        return self._model.dtype

    def refresh(self) -> None:
        """Does nothing: the decoder uses the model's own weights."""

    def cell_bytes(self) -> list[int]:
        """Bytes of one token of one row in each tensor of the cache, by a forward of one token."""
        fresh = DynamicCache()
        with evaluating(self._model):
            token = torch.zeros(1, 1, dtype=torch.int64, device=self._model.device)
            self._model(input_ids=token, past_key_values=fresh, use_cache=True)
        layers: list[Any] = fresh.layers
        return [part.nbytes for layer in layers for part in (layer.keys, layer.values)]

    def prefill(self, prompts: PromptBatch) -> None:
        """Runs one padded forward that writes its keys and values into the cache."""
        with evaluating(self._model):
            self._model(
                input_ids=prompts.ids,
                attention_mask=prompts.real,
                position_ids=prompts.positions,
                past_key_values=_PromptCache(self._cache, prompts),
                use_cache=True,
                **self._fewest_logits,
            )

    def decode(self, tokens_B: torch.Tensor) -> torch.Tensor:
        """Runs the model's forward on one token per row."""
        cache = self._cache
        with evaluating(self._model):
            output: Any = self._model(
                input_ids=tokens_B[:, None],
                attention_mask=(cache.bias == 0).long(),
                position_ids=cache.positions[:, None],
                past_key_values=_SharedCache(cache),
                use_cache=True,
            )
        logits: torch.Tensor = output.logits
        return logits[:, -1].float()


class _PromptCache(Cache):
    """Passes the keys and values of prompts on to the KVCache, layer by layer."""

    def __init__(self, kv_cache: KVCache, prompts: PromptBatch) -> None:
        super().__init__(layers=[])
        self._kv_cache, self._prompts = kv_cache, prompts

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes the prompts; they attend to themselves only."""
        self._kv_cache.write_prompt(layer_idx, self._prompts, key_states, value_states)
        return key_states, value_states


class _SharedCache(Cache):
    """Presents the KVCache to transformers' attention layers as a cache of one window."""

    def __init__(self, kv_cache: KVCache) -> None:
        super().__init__(layers=[])
        self._kv_cache = kv_cache

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Appends one token; returns the whole window."""
        return self._kv_cache.append(layer_idx, key_states, value_states)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Columns of the window left of the new token."""
        return self._kv_cache.end - self._kv_cache.first

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        """Length and offset of the keys that `update` returns."""
        return self.get_seq_length() + query_length, 0
