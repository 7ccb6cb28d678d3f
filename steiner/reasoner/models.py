"""Loading a model and its tokenizer, with one clear line where that fails.

folder or hub name -> (model, tokenizer)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from steiner.types import UserError

_GENERIC = ("TokenizersBackend", "PreTrainedTokenizerFast")


def load_model(
    source: str | Path, dtype: torch.dtype = torch.float32
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The causal language model and tokenizer in a folder, or of that name on the hub.

    On an accelerator where there is one. Raises UserError where it cannot be read.
    """
    try:
        tokenizer = load_tokenizer(source)
        model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"cannot load a model from {source}: {reason}", _hint(source)) from error
    device: Any = "cuda" if torch.cuda.is_available() else "cpu"
    return model.to(device), tokenizer


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer as its own files describe it.

    For every model of type qwen2, AutoTokenizer (transformers 5.23) takes Qwen's pre-tokenizer in
    place of the one in tokenizer.json, so that numbers of two digits fall apart. A folder that
    names no class of its own is therefore read by the generic class.
    """
    config = Path(source) / "tokenizer_config.json"
    generic: PreTrainedTokenizerBase
    if config.is_file() and json.loads(config.read_text()).get("tokenizer_class") in _GENERIC:
        generic = PreTrainedTokenizerFast.from_pretrained(source)
    else:
        generic = AutoTokenizer.from_pretrained(source)
    return generic


def _hint(source: str | Path) -> str:
    if Path(source).is_dir():
        return "the folder is damaged or no model: delete it and train again, or name another"
    return "no such folder; if it is a name on the hub, check it and the connection"
