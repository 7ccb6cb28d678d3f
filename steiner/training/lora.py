"""LoRA: trains small matrices added to the frozen linear layers, and the rows of the new tokens.

model -> the same model, with adapters while it trains, and with merged weights afterwards

A linear layer W (out, in) becomes W + (alpha / r) B A, where A (r, in) and B (out, r) learn and W
stays (Hu et al. 2021, arXiv:2106.09685, section 4.1). Only A, B and the embedding rows of the 14
reasoning tokens have gradients and optimiser states. W may have 4 bits a weight while they train
(models/four_bit.py); B A is then added to the W of the model's files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from steiner.allocator import release_freed_memory
from steiner.format.grammar import SPECIAL_TOKENS
from steiner.models.four_bit import is_4bit, load_4bit_model, require_bitsandbytes
from steiner.models.loading import load_model, read_model, without_checkpointing_warning
from steiner.models.precision import wants_bf16
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.processes import is_sharded
from steiner.training.trained_rows import compute_rows_alone
from steiner.types import UserError

if TYPE_CHECKING:
    from peft import PeftModel

ALPHA = 32
"""The same for every rank, so that one learning rate suits all."""


class LoraRecipe(Protocol):
    """The keys of a training stage that LoRA depends on."""

    @property
    def lora_rank(self) -> int: ...
    @property
    def lora_4bit(self) -> bool: ...
    @property
    def muon_lr(self) -> float: ...
    @property
    def precision(self) -> str: ...


def check_lora(stage: LoraRecipe) -> None:
    """Raises UserError for LoRA with Muon, for 4 bits without LoRA or without bitsandbytes."""
    if stage.lora_rank and stage.muon_lr:
        raise UserError(
            f"lora_rank is {stage.lora_rank} and muon_lr {stage.muon_lr:g}, but LoRA trains with "
            "AdamW",
            "set muon_lr = 0, and AdamW's rate to about ten times that of training all weights",
        )
    if stage.lora_4bit and not stage.lora_rank:
        hint = "set lora_rank = 16, or lora_4bit = false to train all weights"
        raise UserError("lora_4bit is set, but lora_rank is 0", hint)
    if stage.lora_4bit:
        require_bitsandbytes()


def load_for_training(
    source: str | Path, stage: LoraRecipe
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model and tokenizer in fp32, or with 4-bit weights if the stage wants these.

    Weights that will be spread over accelerators stay in main memory: the whole of them may not fit
    on one. Each process of a machine has a copy there until Trainer shards it. The model's
    `name_or_path` is `source`, absolute if it is local: an adapter records it as its base.

    Raises UserError if it cannot be read, or if the stage's settings do not fit together.
    """
    check_lora(stage)
    if is_sharded():
        model, tokenizer = read_model(source, dtype=torch.float32)
    elif stage.lora_4bit:
        compute_dtype = torch.bfloat16 if wants_bf16(stage.precision) else torch.float32
        model, tokenizer = load_4bit_model(source, compute_dtype)
    else:
        model, tokenizer = load_model(source)
    model.name_or_path = str(Path(source).absolute() if Path(source).exists() else source)
    return model, tokenizer


@contextmanager
def lora(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rank: int, seed: int
) -> Iterator[PeftModel | None]:
    """Within the block, only LoRA of `rank` and the rows of the reasoning tokens are trainable.

    Yields peft's wrapper of the model, whose adapter can be saved. After the block, the weights are
    merged and the model has its own layers again; `merged` does this for 4-bit weights. With rank
    0, everything is trainable, and it yields None.

    Raises UserError if the rank is negative.
    """
    if rank < 0:
        raise UserError(f"lora_rank is {rank}", "give 0 to train all weights, or 1 or more")
    if not rank:
        yield None
        return
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=rank,
        lora_alpha=ALPHA,
        target_modules="all-linear",  # but the head
        trainable_token_indices=_new_rows(model, tokenizer),
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]), without_checkpointing_warning():
        torch.manual_seed(seed)
        adapted = get_peft_model(model, config)
    compute_rows_alone(adapted)
    if is_4bit(model):
        model._hf_peft_config_loaded = True  # Trainer refuses 4-bit weights without adapters
        yield adapted
        return
    yield adapted
    release_freed_memory()  # merging needs memory of its own
    adapted.merge_and_unload()
    model.requires_grad_(True)


def merged(model: PreTrainedModel) -> PreTrainedModel:
    """The model with the LoRA of its 4-bit weights merged into the weights of the files that it was
    loaded from, in their number format. Any other model is returned as it is."""
    if not is_4bit(model):
        return model
    adapter: Any = model.peft_config["default"]
    whole, tokenizer = read_model(str(model.name_or_path), dtype="auto")
    add_reasoning_vocabulary(whole, tokenizer)
    with lora(whole, tokenizer, adapter.r, seed=0):
        unknown = whole.load_state_dict(trainable_weights(model), strict=False).unexpected_keys
        assert not unknown, unknown
    whole.generation_config = model.generation_config
    return whole


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
    if is_4bit(model):
        return dict(merged(model).state_dict())
    modules = model.named_modules()
    adapters = {name: layer for name, layer in modules if hasattr(layer, "base_layer")}
    weights = {}
    for name, weight in model.state_dict().items():
        layer, base, parameter = name.rpartition(".base_layer.")
        if base:
            whole = _merged(adapters[layer]) if parameter == "weight" else weight
            weights[f"{layer.removesuffix('.token_adapter')}.{parameter}"] = whole
        elif not any(name.startswith(f"{adapter}.") for adapter in adapters):
            weights[name] = weight
    return weights


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
