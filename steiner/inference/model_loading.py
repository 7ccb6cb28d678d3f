"""Loads a model that can reason: checks its tokens first, then reads its weights.

folder, GGUF file or name on the Hugging Face Hub -> (model, Vocabulary)

Small Qwen2 models in a folder, such as the embedded one, are read by models/small_qwen2.py, which
saves the seconds that importing transformers takes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from steiner.format.tokenizer import Vocabulary
from steiner.inference.packed_decoder import PackedDecoder
from steiner.models import small_qwen2
from steiner.models.precision import default_device, fastest_dtype
from steiner.models.sources import base_name_of, find_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LARGE = 30_000_000
"""Parameters from which a CPU decodes faster in bfloat16."""


def load_reasoning_model(
    source: str | Path, dtype: torch.dtype | None = None
) -> tuple[PreTrainedModel, Vocabulary]:
    """The model and its vocabulary, on an accelerator if there is one.

    Raises UserError if it cannot be read or its tokenizer lacks the 14 tokens.
    """
    found = find_model(source)
    folder = Path(found.name)
    may_be_small = not found.gguf_file and not torch.cuda.is_available()
    if may_be_small and small_qwen2.is_supported(folder):
        model, vocabulary = small_qwen2.load(folder, dtype or torch.float32)
        if PackedDecoder.supports(model):
            return model, vocabulary
    from steiner.models.loading import load_model, load_tokenizer

    # A model without the tokens is refused before gigabytes of its weights are fetched and read.
    Vocabulary.require(load_tokenizer(found))
    base = Path(base_name_of(folder) or folder)
    if dtype is None and _is_surely_large(base):  # once in fp32 would take twice the memory
        dtype = fastest_dtype(default_device())
    model, tokenizer = load_model(source, dtype or torch.float32)
    if dtype is None:
        torch.nn.Module.to(model, _dtype_for(model))  # in place; transformers' own has no type
    return model, Vocabulary.require(tokenizer)


def _is_surely_large(folder: Path) -> bool:
    """True if the files have more than _LARGE parameters even if each takes 4 bytes."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors")) >= 4 * _LARGE


def _dtype_for(model: PreTrainedModel) -> torch.dtype:
    """bfloat16 on an accelerator, and on a CPU that computes faster in it if the model is not
    small: there, matrix products take most of the time."""
    if model.device.type == "cpu" and not is_large(model):
        return torch.float32
    return fastest_dtype(model.device.type)


def is_large(model: PreTrainedModel) -> bool:
    """True if a CPU with fast bfloat16 decodes this model faster in it."""
    return model.num_parameters() >= _LARGE
