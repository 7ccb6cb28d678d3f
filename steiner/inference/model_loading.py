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
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_LARGE = 30_000_000
"""Parameters from which a CPU decodes faster in bfloat16."""


def load_reasoning_model(
    source: str | Path, dtype: torch.dtype | None = None
) -> tuple[PreTrainedModel, Vocabulary]:
    """The model and its vocabulary, on an accelerator if there is one.

    Raises UserError if it cannot be read or its tokenizer lacks the 14 tokens.
    """
    found = find_model(source)
    may_be_small = not found.gguf_file and not torch.cuda.is_available()
    if may_be_small and small_qwen2.is_supported(folder := Path(found.name)):
        model, vocabulary = small_qwen2.load(folder, dtype or torch.float32)
        if PackedDecoder.supports(model):
            return model, vocabulary
    from steiner.models.loading import load_tokenizer

    # A model without the tokens is refused before gigabytes of its weights are fetched and read.
    Vocabulary.require(load_tokenizer(found))
    model, tokenizer = load_for_decoding(source, dtype)
    return model, Vocabulary.require(tokenizer)


def load_for_decoding(
    source: str | Path, dtype: torch.dtype | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model and its tokenizer, on an accelerator if there is one.

    `dtype` is by default the number format in which this machine decodes the model faster: what
    answers, is evaluated or teaches has the same one. Raises UserError if it cannot be read.
    """
    from steiner.models.loading import load_model

    device = default_device()
    folder = Path(find_model(source).name)
    base = Path(base_name_of(folder) or folder)
    if dtype is None and (device != "cpu" or _is_surely_large(base)):
        dtype = fastest_dtype(device)  # once in fp32 would take twice the memory
    model, tokenizer = load_model(source, dtype or torch.float32)
    if dtype is None and is_large(model):
        _cast(model, fastest_dtype(device))
    return model, tokenizer


def _is_surely_large(folder: Path) -> bool:
    """True if the files have more than _LARGE parameters even if each takes 4 bytes."""
    return sum(file.stat().st_size for file in folder.glob("*.safetensors")) >= 4 * _LARGE


def _cast(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Changes the number format of the weights in place, as if they had been loaded in it.

    What the model computes from its configuration stays in fp32: rotary frequencies in bf16 are up
    to 0.2 % off, which turns distant tokens to other angles.
    """
    saved = model.state_dict().keys()
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        if name in saved and tensor.is_floating_point():
            tensor.data = tensor.data.to(dtype)


def context_length(model: PreTrainedModel) -> int:
    """Most tokens of a prompt and its completion together."""
    return int(getattr(model.config, "max_position_embeddings", 2048))


def is_large(model: PreTrainedModel) -> bool:
    """True if a CPU with fast bfloat16 decodes this model faster in it."""
    return model.num_parameters() >= _LARGE
