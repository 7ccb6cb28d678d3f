"""One rule chooses the number format, whatever a model is loaded for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from steiner.evaluation.model_runner import ModelRunner
from steiner.format.tokenizer import Vocabulary
from steiner.inference import model_loading
from steiner.inference.model_loading import load_for_decoding, load_reasoning_model
from steiner.models.loading import load_model
from steiner.recipe import Recipe
from tests.small_model import small_qwen2


@pytest.fixture
def folder(vocabulary: Vocabulary, tmp_path: Path) -> Path:
    torch.manual_seed(0)
    small_qwen2(len(vocabulary.tokenizer)).save_pretrained(tmp_path)
    vocabulary.tokenizer.save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("large", "expected"), [(30_000_000, torch.float32), (1, torch.bfloat16)])
def test_an_evaluated_model_has_the_format_of_a_served_one(
    large: int, expected: torch.dtype, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU with fast bf16: fp32 if the model is small, else bf16."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("steiner.models.precision._fastest_on_cpu", lambda: torch.bfloat16)
    monkeypatch.setattr(model_loading, "_LARGE", large)
    monkeypatch.setattr(model_loading.small_qwen2, "is_supported", lambda folder: False)
    served, _ = load_reasoning_model(folder)
    runner = ModelRunner("rl", str(folder), Recipe(name="test"))
    assert served.dtype is expected
    assert f"torch.{runner.dtype}" == str(expected)


def test_a_cast_model_is_the_one_that_was_loaded_in_that_format(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rotary frequencies stay exact."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("steiner.models.precision._fastest_on_cpu", lambda: torch.bfloat16)
    monkeypatch.setattr(model_loading, "_LARGE", 1)
    monkeypatch.setattr(model_loading, "_is_surely_large", lambda folder: False)
    cast, _ = load_for_decoding(folder)
    loaded, _ = load_model(folder, torch.bfloat16)
    for one, same in (
        (cast.named_parameters(), loaded.named_parameters()),
        (cast.named_buffers(), loaded.named_buffers()),
    ):
        for (name, tensor), (_, other) in zip(one, same, strict=True):
            assert tensor.dtype is other.dtype, name
            assert torch.equal(tensor, other), name
    ids = torch.arange(20)[None]
    with torch.no_grad():
        assert torch.equal(cast(ids).logits, loaded(ids).logits)
