"""Loads a model with 4-bit weights, the frozen base of LoRA.

folder or name on the Hugging Face Hub -> (model, tokenizer)

As in QLoRA (Dettmers et al. 2023, arXiv:2305.14314): NF4 with double quantisation for the linear
layers but the head. Embeddings, head and norms stay fp32. Products are computed in the training's
number format.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import BitsAndBytesConfig, PreTrainedModel, PreTrainedTokenizerBase

from steiner.models.loading import read_model
from steiner.models.sources import base_of_adapter, find_model
from steiner.types import UserError

BYTES_PER_WEIGHT = 0.5 + 1 / 64 + 4 / (64 * 256)
"""4 bits; a scale of one byte per 64 weights; a scale of 4 bytes per 256 of these."""


def load_4bit_model(
    source: str | Path, compute_dtype: torch.dtype
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model with 4-bit weights, on an accelerator if there is one, and its tokenizer.

    Raises UserError if it cannot be read, or if bitsandbytes is not installed.
    """
    require_bitsandbytes()
    found = find_model(source)
    if found.gguf_file or base_of_adapter(found):
        hint = "set lora_4bit = false, or give a folder with the model's whole weights"
        raise UserError(f"lora_4bit reads neither GGUF files nor adapters: {source}", hint)
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
    )
    model, tokenizer = read_model(source, dtype=torch.float32, quantization_config=config)
    layer: Any
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            # Else a forward pass in evaluation mode repacks the weights for good, in a layout
            # without gradients.
            layer.support_avx512bf16_for_cpu = False
    return model, tokenizer


def is_4bit(model: PreTrainedModel) -> bool:
    """Whether `load_4bit_model` loaded it."""
    return bool(getattr(model, "is_loaded_in_4bit", False))


def require_bitsandbytes() -> None:
    """Raises UserError if bitsandbytes is not installed."""
    if find_spec("bitsandbytes") is None:
        hint = "pip install bitsandbytes, or set lora_4bit = false"
        raise UserError("lora_4bit needs bitsandbytes, which is not installed", hint)
