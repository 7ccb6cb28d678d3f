"""Loads a model and its tokenizer; a failure is one clear line.

folder, GGUF file or name on the Hugging Face Hub -> (model, tokenizer)

A model is refused if its files lack weights: transformers would draw them at random. The adapter of
a folder without a model of its own is merged into its base.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    GgufConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils import GENERATION_CONFIG_NAME, logging

from steiner.models.gguf_files import restore_added_tokens
from steiner.models.precision import default_device
from steiner.models.sources import ModelSource, base_of_adapter, find_model
from steiner.types import UserError, reason_of

READ_ERRORS = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
    SafetensorError,
    struct.error,
)
"""The exceptions that damaged model files cause."""

_TOKENIZER_FILES = ("tokenizer.*", "vocab.*", "*.model", "*.tiktoken")


def load_model(
    source: str | Path, dtype: torch.dtype = torch.float32
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The causal language model and tokenizer in a folder or GGUF file, or of a name on the Hub.

    The model is on an accelerator if there is one. Raises UserError if it cannot be read.
    """
    model, tokenizer = read_model(source, dtype=dtype)
    device: Any = default_device()
    return model.to(device), tokenizer


def read_model(
    source: str | Path, **options: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """As `load_model`, with any options of `from_pretrained`, and where these put the model."""
    found = find_model(source)
    logging.disable_progress_bar()  # of loading and saving weights, which takes no time here
    tokenizer = load_tokenizer(found)
    return _read_model(found, options), tokenizer


def _read_model(found: ModelSource, options: Mapping[str, Any]) -> PreTrainedModel:
    """The model; an adapter's base may be an adapter, too."""
    base = base_of_adapter(found)
    if base is None:
        return _read_weights(found, options)
    return _with_adapter(_read_model(base, options), load_tokenizer(found), found)


def _read_weights(found: ModelSource, options: Mapping[str, Any]) -> PreTrainedModel:
    """Raises UserError if the files are damaged, or lack some of the model's weights."""
    source = f"{found.name}/{found.gguf_file}" if found.gguf_file else found.name
    if found.gguf_file:  # else transformers takes the model for a quantised one, and trains none
        options = {**options, "quantization_config": GgufConfig(dequantize=True)}
    try:
        with _no_reports():
            read: Any = AutoModelForCausalLM.from_pretrained(
                found.name, output_loading_info=True, **options, **found.options
            )
    except READ_ERRORS as error:
        raise load_error(source, error) from error
    model: PreTrainedModel = read[0]
    check_causal(source, model.config)
    if missing := sorted(read[1]["missing_keys"]):
        reason = f"its files lack {len(missing)} of the model's weights, such as {missing[0]}"
        raise load_error(source, OSError(reason))
    return model


def _with_adapter(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, adapter: ModelSource
) -> PreTrainedModel:
    """The model with the adapter's weights merged into its own, and the adapter's generation
    config if it has one."""
    from peft import PeftModel

    if len(tokenizer) > model.config.vocab_size:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    try:
        with without_checkpointing_warning():
            merged = PeftModel.from_pretrained(model, adapter.name).merge_and_unload()
    except READ_ERRORS as error:
        hint = "give the base that it was trained on as base_model_name_or_path"
        message = f"the adapter {adapter.name} does not fit its base {model.name_or_path}"
        raise UserError(message, f"{hint} in adapter_config.json") from error
    whole: PreTrainedModel = merged
    if Path(adapter.name, GENERATION_CONFIG_NAME).is_file():
        whole.generation_config = GenerationConfig.from_pretrained(adapter.name)
    return whole


@contextmanager
def without_checkpointing_warning() -> Iterator[None]:
    """For calls of peft and TRL: they use deprecated names of transformers, and no setting avoids
    it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`(is_)?gradient_checkpointing", FutureWarning)
        yield


@contextmanager
def _no_reports() -> Iterator[None]:
    """Without transformers' tables of weights that are missing or of another size."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)


def load_tokenizer(source: str | Path | ModelSource) -> PreTrainedTokenizerBase:
    """The tokenizer of a model. Raises UserError if it cannot be read."""
    found = source if isinstance(source, ModelSource) else find_model(source)
    folder = Path(found.name)
    if (
        folder.is_dir()
        and not found.gguf_file
        and not any(any(folder.glob(name)) for name in _TOKENIZER_FILES)
    ):
        if base := base_of_adapter(found):
            return load_tokenizer(base)
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


def check_causal(source: str | Path, config: Any) -> None:
    """Raises UserError for an encoder, such as BERT: transformers loads it with a causal head."""
    names = config.architectures or ()
    if names and all(name.endswith("ForMaskedLM") for name in names):
        raise load_error(source, ValueError(f"{names[0]} is no causal language model"))


def load_error(source: str | Path, error: Exception) -> UserError:
    """The one-line error for a model whose files cannot be read."""
    reason = reason_of(error)
    if isinstance(error, struct.error):
        reason = "the file is cut off"
    elif "for this kind of AutoModel" in reason:
        reason = "it is no causal language model"
    elif "ignore_mismatched_sizes" in reason:
        reason = "its weights have other sizes than config.json says"
    if "causal" in reason:
        hint = "give a model that continues text, such as one of the classes ...ForCausalLM"
    elif Path(source).is_dir():
        hint = "the folder is damaged or holds no model: make it again, or name another"
    elif Path(source).suffix == ".gguf":
        hint = "check that the file is whole, or give the folder of the same model"
    else:
        hint = "check that it is a causal language model that transformers can load"
    return UserError(f"cannot load a model from {source}: {reason}", hint)
