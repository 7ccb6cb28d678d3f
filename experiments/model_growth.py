"""Grows a model to several times its parameters without changing what it computes.

Qwen2 model -> wider and deeper Qwen2 model with the same logits

Width follows Net2Net (Chen, Goodfellow and Shlens, arXiv:1511.05641): each unit is copied, and its
readers divide their weight among the copies at random, so that the copies learn different things.
Depth follows LLaMA Pro (Wu et al., arXiv:2401.02415): each layer gets a copy that adds nothing at
first.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

_WIDTH_UNIT = 16
"""A larger model's feed-forward width is a multiple of this."""


def grown(model: PreTrainedModel, times: int, seed: int = 0) -> PreTrainedModel:
    """`model` in the shape of `larger_config`, in float32. Its embeddings must be tied."""
    config = larger_config(model.config, times)
    larger: Any = AutoModelForCausalLM.from_config(config).float()
    small: Any = copy.deepcopy(model).cpu()
    shares = torch.Generator().manual_seed(seed)
    copies = config.hidden_size // model.config.hidden_size
    depth = config.num_hidden_layers // model.config.num_hidden_layers
    with torch.no_grad():
        _copy_units(larger.model.embed_tokens, small.model.embed_tokens)
        _copy_units(larger.model.norm, small.model.norm)
        larger.model.norm.weight /= copies  # the tied output reads each unit as often
        for index, layer in enumerate(larger.model.layers):
            _widen_layer(layer, small.model.layers[index // depth], shares)
            if index % depth:
                layer.self_attn.o_proj.weight.zero_()
                layer.mlp.down_proj.weight.zero_()
    found: PreTrainedModel = larger.to(model.device)
    return found


def _widen_layer(larger: nn.Module, small: nn.Module, shares: torch.Generator) -> None:
    modules = dict(small.named_modules())
    for name, module in larger.named_modules():
        if isinstance(module, nn.Linear):
            _widen_linear(module, modules[name], shares)
        elif hasattr(module, "weight"):
            _copy_units(module, modules[name])


def _widen_linear(larger: Any, small: Any, shares: torch.Generator) -> None:
    """Unit i of the larger layer is a copy of unit i mod n of the small one, on both sides."""
    outputs, inputs = small.weight.shape
    rows = _origins(larger.weight.shape[0], outputs)
    columns = _origins(larger.weight.shape[1], inputs)
    share_OI = 0.5 + torch.rand(larger.weight.shape, generator=shares)
    total_OI = share_OI.new_zeros(len(rows), inputs).index_add_(1, columns, share_OI)
    larger.weight.copy_(small.weight[rows][:, columns] * share_OI / total_OI[:, columns])
    if small.bias is not None:
        larger.bias.copy_(small.bias[rows])


def _copy_units(larger: Any, small: Any) -> None:
    """Weights of a norm (D,) or of embeddings (V, D): the width is their last dimension."""
    larger.weight.copy_(
        small.weight[..., _origins(larger.weight.shape[-1], small.weight.shape[-1])]
    )


def _origins(larger: int, small: int) -> torch.Tensor:
    return torch.arange(larger) % small


def larger_config(config: PretrainedConfig, times: int) -> PretrainedConfig:
    """The shape with about `times` the parameters: depth and width grow equally, more heads are
    added, and the feed-forward width makes up the rest."""
    factor = round(times ** (1 / 3))
    larger = _changed(
        config,
        hidden_size=config.hidden_size * factor,
        num_hidden_layers=config.num_hidden_layers * factor,
        num_attention_heads=config.num_attention_heads * factor,
        num_key_value_heads=config.num_key_value_heads * factor,
    )
    wanted = times * count_parameters(config)
    fewest = count_parameters(_changed(larger, intermediate_size=_WIDTH_UNIT))
    more = count_parameters(_changed(larger, intermediate_size=2 * _WIDTH_UNIT)) - fewest
    units = max(1, 1 + round((wanted - fewest) / more))
    return _changed(larger, intermediate_size=units * _WIDTH_UNIT)


def _changed(config: PretrainedConfig, **values: int) -> PretrainedConfig:
    settings = {k: v for k, v in config.to_dict().items() if k != "layer_types"}  # one a layer
    return type(config)(**settings | values)


def count_parameters(config: PretrainedConfig) -> int:
    """The number of parameters of that shape, tied weights counted once; allocates no memory."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())
