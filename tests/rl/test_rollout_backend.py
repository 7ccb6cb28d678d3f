"""The number format that rollouts are decoded in, by the model and the recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from steiner.format.tokenizer import Vocabulary
from steiner.inference.engine import Engine
from steiner.inference.packed_decoder import PackedDecoder
from steiner.recipe import Precision, RlRecipe
from steiner.rl import rollout_backend as backends
from steiner.rl.rollout_backend import rollout_backend
from steiner.training.lora import lora

IN_BF16 = "decoded in bf16, from a copy of the weights"
IN_FP32 = "decoded in fp32: the engine has no bf16 copy of this model"


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small model counts as a large one."""
    monkeypatch.setattr(backends, "is_large", lambda model: True)


def _dtype(precision: Precision, model: PreTrainedModel, vocabulary: Vocabulary) -> torch.dtype:
    """Of the engine, which has its own log-probabilities only if it rounds the weights."""
    made = rollout_backend(RlRecipe(precision=precision), model, vocabulary, Path("unused"))
    assert isinstance(made.backend, Engine)
    assert made.has_own_logprobs == (made.backend.dtype != model.dtype)
    assert made.weight_sync is None
    return made.backend.dtype


@pytest.mark.usefixtures("large")
def test_a_large_model_is_decoded_in_the_format_that_training_computes_in(
    model: PreTrainedModel, vocabulary: Vocabulary, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _dtype("fp32", model, vocabulary) is torch.float32
    assert "decoded" not in capsys.readouterr().err
    assert _dtype("bf16", model, vocabulary) is torch.bfloat16
    assert IN_BF16 in capsys.readouterr().err


def test_a_small_model_is_decoded_in_fp32(
    model: PreTrainedModel, vocabulary: Vocabulary, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _dtype("bf16", model, vocabulary) is torch.float32
    assert "decoded" not in capsys.readouterr().err


@pytest.mark.usefixtures("large")
def test_without_a_copy_of_the_weights_fp32_is_said(
    model: PreTrainedModel,
    vocabulary: Vocabulary,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with lora(model, vocabulary.tokenizer, 2, seed=0):
        assert _dtype("bf16", model, vocabulary) is torch.float32
    assert IN_FP32 in capsys.readouterr().err
    monkeypatch.setattr(PackedDecoder, "supports", lambda model: False)  # too many parameters
    assert _dtype("bf16", model, vocabulary) is torch.float32
    assert IN_FP32 in capsys.readouterr().err
    assert _dtype("bf16", model.to(torch.bfloat16), vocabulary) is torch.bfloat16
    assert "decoded" not in capsys.readouterr().err
