"""Trained rows of a frozen embedding or head, computed and merged without a copy of the matrix.

peft's layer of trained rows -> the same outputs, gradients and merged weights

peft puts the trained rows into a copy of the matrix, in the forward pass and when it merges them,
and gets a gradient of that size. For the 151,936 tokens of Qwen2.5-0.5B each takes 544 MB, for the
embeddings and again for every chunk of logits.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
from torch.nn import functional


def compute_rows_alone(adapted: torch.nn.Module) -> None:
    """Changes how peft's layers of trained rows in `adapted` compute, not what."""
    from peft.tuners.trainable_tokens.layer import TrainableTokensLayer

    for layer in adapted.modules():
        if isinstance(layer, TrainableTokensLayer):
            layer.forward_adapters = MethodType(_forward, layer)  # type: ignore[method-assign]
            layer.merge = MethodType(_merge, layer)  # type: ignore[method-assign]


def _forward(
    layer: Any, inputs: torch.Tensor, adapters: list[str], *args: Any, **kwargs: Any
) -> torch.Tensor:
    if layer.disable_adapters or layer.merged or len(adapters) != 1:
        found: torch.Tensor = type(layer).forward_adapters(layer, inputs, adapters, *args, **kwargs)
        return found
    rows_RD, ids_R = _rows(layer, adapters[0])
    if isinstance(layer.base_layer, torch.nn.Embedding):
        return _embedded(layer, inputs, rows_RD, ids_R)
    logits = layer.base_layer(inputs)
    own = functional.linear(inputs, rows_RD)
    return torch.index_copy(logits, -1, ids_R, own.to(logits.dtype))


@torch.no_grad()
def _merge(layer: Any, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
    """Writes the rows into the frozen matrix."""
    for adapter in adapter_names or layer.active_adapters:
        rows_RD, ids_R = _rows(layer, adapter)
        layer.base_layer.weight.index_copy_(0, ids_R, rows_RD)
        layer.merged_adapters.append(adapter)


def _rows(layer: Any, adapter: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The trained rows (R, D), in the matrix's number format, and their token ids (R,)."""
    weight_VD = layer.base_layer.weight
    rows_RD = layer.trainable_tokens_delta[adapter].to(weight_VD)
    return rows_RD, torch.tensor(layer.token_indices[adapter], device=weight_VD.device)


def _embedded(
    layer: Any, ids_BT: torch.Tensor, rows_RD: torch.Tensor, ids_R: torch.Tensor
) -> torch.Tensor:
    """The frozen embeddings (B, T, D), with the trained rows in their places."""
    scale = layer._get_embed_scale()  # Gemma's, which the frozen layer applies itself
    is_own_BTR = ids_BT[..., None] == ids_R
    rows_BTD = functional.embedding(is_own_BTR.int().argmax(-1), rows_RD)
    rows_BTD = rows_BTD if scale is None else rows_BTD * scale
    frozen_BTD: torch.Tensor = layer.base_layer(ids_BT)
    return torch.where(is_own_BTR.any(-1)[..., None], rows_BTD.to(frozen_BTD.dtype), frozen_BTD)
