"""Loading a model that can reason: its tokens are checked first, then its weights are read.

folder or hub name -> (model, Vocabulary)

Small Qwen2 models in a folder, such as the embedded one, take the way of small_qwen2.py, which
spares the seconds that importing transformers takes.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from steiner.format.tokenizer import Vocabulary
from steiner.inference.qwen2_decoder import Qwen2Decoder
from steiner.models import small_qwen2

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_reasoning_model(
    source: str | Path, dtype: torch.dtype | None = None
) -> tuple[PreTrainedModel, Vocabulary]:
    """The model and its vocabulary, on an accelerator where there is one.

    Raises UserError where it cannot be read or its tokenizer lacks the 14 tokens.
    """
    if not torch.cuda.is_available() and small_qwen2.is_one(Path(source)):
        model, vocabulary = small_qwen2.load(Path(source), dtype or torch.float32)
        if Qwen2Decoder.supports(model):
            return model, vocabulary
    from steiner.models.loading import load_model

    _require_tokens(source)
    fitting = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    model, tokenizer = load_model(source, dtype or fitting)
    return model, Vocabulary.require(tokenizer)


def _require_tokens(source: str | Path) -> None:
    """Refuses a model without the tokens before gigabytes of its weights are fetched and read.

    What cannot be read at all is left to `load_model`, which says so.
    """
    from steiner.models.loading import load_tokenizer

    with suppress(OSError, ValueError, KeyError):
        Vocabulary.require(load_tokenizer(source))
