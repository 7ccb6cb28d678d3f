"""One decoding step of a batch for Qwen2 and Llama: the sums of transformers in fewer operations.

tokens (B,) + cache -> logits (B, V)

For a small model, the number of operations and memory bound the time of a step. Therefore:

- Query, key and value are one product, gate and up another, with the weights of the norms folded
  in.
- RMSNorm is a vector norm and a division; a constant last column of the hidden state adds epsilon.
- Rotary embedding is one complex product; the halves of a head are interleaved in the weights,
  which changes no score.
- The query heads of one key-value head are adjacent, so attention is two batched products that
  neither repeat nor copy keys and values.

The packed weights are a copy; `refresh` renews it. It may have another dtype than the model, the
one in which products with weights are computed, and another layout (projection.py).
Hidden state, norms and rotations are float32. On a CPU attention is float32 too: in bfloat16,
oneDNN builds a kernel for each new length, and a step is no faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from steiner.inference.kv_cache import KVCache, PromptBatch
from steiner.inference.projection import Projection

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_MAX_PARAMETERS = 200_000_000
"""Above this, a copy of the weights costs more than it saves."""
_CLASSES = ("LlamaForCausalLM", "Qwen2ForCausalLM", "SmallQwen2")
"""Names, so that transformers need not be imported: its classes, and the one of small_qwen2.py."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """Packed weights of one layer."""

    qkv: Projection
    out: Projection
    gate_up: Projection
    down: Projection


class PackedDecoder:
    """The Decoder of a small Qwen2 or Llama."""

    @staticmethod
    def supports(model: PreTrainedModel) -> bool:
        """True if `model` is a plain, small Qwen2 or Llama."""
        config: Any = model.config
        return (
            type(model).__name__ in _CLASSES
            and config.hidden_act == "silu"
            and config.rope_parameters["rope_type"] == "default"
            and set(getattr(config, "layer_types", ())) <= {"full_attention"}
            and not getattr(config, "attention_bias", False)
            and not getattr(config, "mlp_bias", False)
            and model.num_parameters() <= _MAX_PARAMETERS
            and all(type(m) is torch.nn.Linear for m in _projections(model))
        )

    def __init__(
        self,
        model: PreTrainedModel,
        cache: KVCache,
        max_length: int,
        dtype: torch.dtype | None = None,
    ) -> None:
        """`dtype` is that of the packed weights; by default the model's."""
        config: Any = model.config
        self._model: Any = model
        self._cache = cache
        self._dtype = dtype or model.dtype
        on_cpu = model.device.type == "cpu"
        self._attention_dtype = torch.float32 if on_cpu else self._dtype
        self._width: int = config.hidden_size
        self._heads: int = config.num_attention_heads
        self._kv_heads: int = config.num_key_value_heads
        self._head_width: int = getattr(config, "head_dim", None) or self._width // self._heads
        self._turns = self._rotary_turns(max_length)
        self.refresh()

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the packed weights."""
        return self._dtype

    def _rotary_turns(self, max_length: int) -> torch.Tensor:
        """The rotation of each pair of head dimensions at each position: complex (T, d / 2)."""
        positions = torch.arange(max_length, device=self._model.device)[None]
        reference = torch.zeros(1, device=self._model.device)
        cos, sin = self._model.model.rotary_emb(reference, positions)
        half = self._head_width // 2
        return torch.complex(cos[0, :, :half], sin[0, :, :half])

    def cell_bytes(self) -> list[int]:
        """Bytes of one token of one row in each tensor of the cache."""
        one = self._kv_heads * self._head_width * self._attention_dtype.itemsize
        return [one] * (2 * len(self._layers))

    # ------------------------------------------------------------------ weights

    @torch.no_grad()
    def refresh(self) -> None:
        """Packs the model's weights again."""
        model = self._model.model
        self._layers = []  # the earlier copy is freed first
        self._layers = [self._pack(layer) for layer in model.layers]
        self._head = Projection(self._folded(model.norm, self._model.lm_head.weight))
        self._embedding = model.embed_tokens.weight
        # The constant column makes the norm of a row sqrt(width * (mean square + epsilon)).
        self._constant = (self._width * model.norm.variance_epsilon) ** 0.5

    def _pack(self, layer: Any) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        gate_up = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight])
        qkv = self._folded(layer.input_layernorm, self._fuse(attention, "weight"))
        return _Layer(
            qkv=Projection(qkv, self._fused_bias(attention)),
            out=Projection(attention.o_proj.weight.to(self._dtype)),
            gate_up=Projection(self._folded(layer.post_attention_layernorm, gate_up)),
            down=Projection(mlp.down_proj.weight.to(self._dtype)),
        )

    def _fused_bias(self, attention: Any) -> torch.Tensor | None:
        if attention.q_proj.bias is None:
            return None
        return self._fuse(attention, "bias").to(self._dtype)

    def _fuse(self, attention: Any, name: str) -> torch.Tensor:
        """The query heads of each key-value head and its key, in turn; then all values."""
        query, key, value = (
            getattr(getattr(attention, f"{part}_proj"), name).float() for part in "qkv"
        )
        query = query * self._head_width**-0.5
        query = query.unflatten(0, (self._kv_heads, -1, 2, self._head_width // 2))
        key = key.unflatten(0, (self._kv_heads, 1, 2, self._head_width // 2))
        turned = torch.cat([query, key], 1).transpose(2, 3)
        return torch.cat([turned.flatten(0, 3), value])

    def _folded(self, norm: Any, weight: torch.Tensor) -> torch.Tensor:
        """The weights of a projection with the norm before it folded in."""
        scale = norm.weight.float() * self._width**0.5
        return torch.mul(weight, scale, out=torch.empty_like(weight, dtype=self._dtype))

    # ------------------------------------------------------------------ forward

    def decode(self, tokens_B: torch.Tensor) -> torch.Tensor:
        """Writes one token to each active row; returns the next token's logits, float32 (B, V)."""
        cache = self._cache
        hidden = self._embedded(tokens_B)
        turns = self._turns[cache.positions][:, None, None]
        bias = cache.bias[:, None].to(self._attention_dtype)
        for index, layer in enumerate(self._layers):
            query, key, value = self._query_key_value(layer, hidden, turns)
            keys, values = cache.append(index, key[:, :, None], value[:, :, None])
            self._narrow(hidden).add_(layer.out(self._attend(query, keys, values, bias)))
            self._feed_forward(layer, hidden)
        return self._head(self._normed(hidden)).float()

    def _embedded(self, ids_N: torch.Tensor) -> torch.Tensor:
        """The hidden state of N tokens at the start: float32 (N, D + 1)."""
        return F.pad(self._embedding[ids_N].float(), (0, 1), value=self._constant)

    def _query_key_value(
        self, layer: _Layer, hidden: torch.Tensor, turns: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Query (N, KV, heads of each, d), key and value (N, KV, d) of N tokens."""
        fused = layer.qkv(self._normed(hidden))
        values_from = fused.shape[1] - self._kv_heads * self._head_width
        value = fused[:, values_from:].unflatten(1, (self._kv_heads, -1))
        pairs = fused[:, :values_from].unflatten(1, (self._kv_heads, -1, self._head_width // 2, 2))
        turned = torch.view_as_complex(pairs.float()) * turns
        heads = torch.view_as_real(turned).flatten(-2).to(self._attention_dtype)
        return heads[:, :, :-1], heads[:, :, -1], value.to(self._attention_dtype)

    def _attend(
        self,
        query: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        bias: torch.Tensor,
    ) -> torch.Tensor:
        """Attention of one query token per row over its window of T: (B, heads * d)."""
        rows, _, length, _ = keys.shape
        scores = torch.bmm(query.flatten(0, 1), keys.flatten(0, 1).transpose(1, 2))
        scores.view(rows, self._heads, length).add_(bias)
        weights = torch.softmax(scores, -1, out=scores)
        attended = torch.bmm(weights, values.flatten(0, 1))
        return attended.view(rows, -1).to(self._dtype)

    def _feed_forward(self, layer: _Layer, hidden: torch.Tensor) -> None:
        gate, up = layer.gate_up(self._normed(hidden)).chunk(2, 1)
        self._narrow(hidden).add_(layer.down(F.silu(gate).mul_(up)))

    def _narrow(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden[:, : self._width]

    def _normed(self, hidden: torch.Tensor) -> torch.Tensor:
        length: torch.Tensor = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True)
        return (self._narrow(hidden) / length).to(self._dtype)

    # ------------------------------------------------------------------ prompts

    def prefill(self, prompts: PromptBatch) -> None:
        """Runs one padded forward up to the keys and values of the last layer."""
        hidden = self._embedded(prompts.ids.flatten())
        turns = self._turns[prompts.positions.flatten()][:, None, None]
        seen = _visible(prompts.real)
        for index, layer in enumerate(self._layers):
            parts = self._query_key_value(layer, hidden, turns)
            query, key, value = (part.unflatten(0, prompts.ids.shape) for part in parts)
            query = query.flatten(2, 3).transpose(1, 2)
            key, value = key.transpose(1, 2), value.transpose(1, 2)
            self._cache.write_prompt(index, prompts, key, value)
            if index == len(self._layers) - 1:
                return
            attended = F.scaled_dot_product_attention(
                query, key, value, attn_mask=seen, scale=1.0, enable_gqa=True
            )
            attended = attended.transpose(1, 2).flatten(2).flatten(0, 1).to(self._dtype)
            self._narrow(hidden).add_(layer.out(attended))
            self._feed_forward(layer, hidden)


def _visible(real: torch.Tensor) -> torch.Tensor:
    """The keys that each query attends to, bool (B, 1, T, T): earlier tokens, and itself, so that
    no row of the softmax is empty."""
    width = real.shape[1]
    causal = torch.ones(width, width, dtype=torch.bool, device=real.device).tril()
    itself = torch.eye(width, dtype=torch.bool, device=real.device)
    return ((real[:, None] > 0) & causal | itself)[:, None]


def _projections(model: Any) -> list[torch.nn.Module]:
    """The modules whose weights are packed."""
    return [
        module
        for layer in model.model.layers
        for parent in (layer.self_attn, layer.mlp)
        for name, module in parent.named_children()
        if name.endswith("_proj")
    ]
