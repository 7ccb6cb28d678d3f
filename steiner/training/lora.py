"""LoRA: trains small matrices beside the frozen linear layers, and the rows of the new tokens.

model -> the same model, with adapters while it trains, and with merged weights afterwards

A linear layer W (out, in) becomes W + (alpha / r) B A, where A (r, in) and B (out, r) learn and W
stays (Hu et al. 2021, arXiv:2106.09685, section 4.1). Only A, B and the embedding rows of the 14
reasoning tokens have gradients and optimiser states.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from steiner.format.grammar import SPECIAL_TOKENS
from steiner.types import UserError

ALPHA = 32
"""The same for every rank, so that one learning rate suits all."""


@contextmanager
def lora(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rank: int, seed: int
) -> Iterator[None]:
    """Within the block, only LoRA of `rank` and the rows of the reasoning tokens are trainable.

    After it, the weights are merged and the model has its own layers again. With rank 0, everything
    is trainable.

    Raises UserError if the rank is negative.
    """
    if rank < 0:
        raise UserError(f"lora_rank is {rank}", "give 0 to train all weights, or 1 or more")
    if not rank:
        yield
        return
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=rank,
        lora_alpha=ALPHA,
        target_modules="all-linear",  # but the head
        trainable_token_indices=_new_rows(model, tokenizer),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # peft reads this deprecated property of transformers.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        torch.manual_seed(seed)
        adapted = get_peft_model(model, config)
    yield
    adapted.merge_and_unload()
    model.requires_grad_(True)


def trainable_weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The weights that have gradients; tied ones once."""
    return {
        name: weight.detach().contiguous()
        for name, weight in model.named_parameters()
        if weight.requires_grad
    }


@torch.no_grad()
def merged_weights(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """The weights that `model` will have once its adapters, if any, are merged, under the names
    that they will have. The model stays as it is."""
    modules = model.named_modules()
    adapters = {name: layer for name, layer in modules if hasattr(layer, "base_layer")}
    merged = {}
    for name, weight in model.state_dict().items():
        layer, base, parameter = name.rpartition(".base_layer.")
        if base:
            whole = _merged(adapters[layer]) if parameter == "weight" else weight
            merged[f"{layer.removesuffix('.token_adapter')}.{parameter}"] = whole
        elif not any(name.startswith(f"{adapter}.") for adapter in adapters):
            merged[name] = weight
    return merged


def _merged(layer: Any) -> torch.Tensor:
    """The weight of one of peft's layers: a linear one, or rows of an embedding."""
    whole: torch.Tensor
    if hasattr(layer, "get_merged_weights"):
        whole = layer.get_merged_weights(layer.active_adapters)
        return whole
    whole = layer.base_layer.weight
    for adapter in layer.active_adapters:
        whole = whole + layer.get_delta_weight(adapter)
    return whole


def _new_rows(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> dict[str, list[int]] | None:
    """Layer -> token ids whose rows are trained; None for a model without reasoning tokens."""
    known = tokenizer.get_vocab()
    ids = [known[token] for token in SPECIAL_TOKENS if token in known]
    layers = [model.get_input_embeddings()]
    if model.get_output_embeddings().weight is not layers[0].weight:  # tied rows are one
        layers.append(model.get_output_embeddings())
    names = [name for name, module in model.named_modules() if any(module is x for x in layers)]
    return dict.fromkeys(names, ids) if ids else None
