"""Loads a model and its tokenizer; a failure is one clear line.

folder, GGUF file or name on the Hugging Face Hub -> (model, tokenizer)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

from steiner.models.gguf_files import restore_added_tokens
from steiner.models.sources import ModelSource, find_model
from steiner.types import UserError, reason_of

READ_ERRORS = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)
"""The exceptions that damaged model files cause."""

_TOKENIZER_FILES = ("tokenizer.*", "vocab.*", "*.model", "*.tiktoken")


def load_model(
    source: str | Path, dtype: torch.dtype = torch.float32
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The causal language model and tokenizer in a folder or GGUF file, or of a name on the Hub.

    The model is on an accelerator if there is one. Raises UserError if it cannot be read.
    """
    model, tokenizer = read_model(source, dtype=dtype)
    device: Any = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device), tokenizer


def read_model(
    source: str | Path, **options: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """As `load_model`, with any options of `from_pretrained`, and where these put the model."""
    found = find_model(source)
    logging.disable_progress_bar()  # of loading and saving weights, which takes no time here
    tokenizer = load_tokenizer(found)
    try:
        model = AutoModelForCausalLM.from_pretrained(found.name, **options, **found.options)
    except READ_ERRORS as error:
        raise load_error(source, error) from error
    return model, tokenizer


def load_tokenizer(source: str | Path | ModelSource) -> PreTrainedTokenizerBase:
    """The tokenizer of a model. Raises UserError if it cannot be read."""
    found = source if isinstance(source, ModelSource) else find_model(source)
    folder = Path(found.name)
    if (
        folder.is_dir()
        and not found.gguf_file
        and not any(any(folder.glob(name)) for name in _TOKENIZER_FILES)
    ):
        # transformers would make an empty tokenizer.
        raise load_error(folder, OSError("there is no tokenizer file"))
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            found.name, **found.options
        )
        if found.gguf_file:
            tokenizer = restore_added_tokens(tokenizer, folder / found.gguf_file)
    except READ_ERRORS as error:
        raise load_error(folder / found.gguf_file, error) from error
    return tokenizer


def load_error(source: str | Path, error: Exception) -> UserError:
    """The one-line error for a model whose files cannot be read."""
    reason = reason_of(error)
    if Path(source).is_dir():
        hint = "the folder is damaged or holds no model: make it again, or name another"
    else:
        hint = "check that it is a causal language model that transformers can load"
    return UserError(f"cannot load a model from {source}: {reason}", hint)
