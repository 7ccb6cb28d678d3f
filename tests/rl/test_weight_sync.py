"""Weights are sent before the first rollouts, then every so many steps, merged and whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, PreTrainedModel

from steiner.format.tokenizer import Vocabulary
from steiner.rl.weight_sync import WeightSync, write_weights
from steiner.training.lora import lora, merged_weights


class Receiver:
    """Reads each folder at once, as the server does."""

    def __init__(self) -> None:
        self.received: list[dict[str, torch.Tensor]] = []

    def load_weights(self, folder: Path) -> None:
        assert folder.is_absolute()
        self.received.append(AutoModelForCausalLM.from_pretrained(folder).state_dict())


@torch.no_grad()
def shift(model: PreTrainedModel) -> None:
    """An optimiser step."""
    for weight in model.parameters():
        if weight.requires_grad:
            weight += 0.01


@pytest.mark.parametrize(("every", "sent_at"), [(1, [0, 1, 2, 3]), (2, [0, 2]), (3, [0, 3])])
def test_weights_are_sent_as_they_are(
    every: int, sent_at: list[int], model: PreTrainedModel, tmp_path: Path
) -> None:
    receiver = Receiver()
    sync = WeightSync(receiver, model, tmp_path / "weights", every)
    expected = []
    for step in range(4):
        if step in sent_at:
            expected.append({name: one.clone() for name, one in model.state_dict().items()})
        sync.before_rollouts(step)
        shift(model)
    assert len(receiver.received) == len(sent_at)
    for sent, right in zip(receiver.received, expected, strict=True):
        assert all(torch.equal(sent[name], one) for name, one in right.items())
    sync.close()
    assert not (tmp_path / "weights").exists()


def test_adapters_are_sent_merged(
    model: PreTrainedModel, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    before = {name: one.clone() for name, one in model.state_dict().items()}
    receiver = Receiver()
    with lora(model, vocabulary.tokenizer, 2, seed=0):
        shift(model)
        kept = {name: one.clone() for name, one in model.state_dict().items()}
        WeightSync(receiver, model, tmp_path, 1).before_rollouts(0)
        after = model.state_dict()
        assert all(torch.equal(after[name], one) for name, one in kept.items())
    (sent,) = receiver.received
    merged = model.state_dict()
    assert sent.keys() == merged.keys() == before.keys()
    assert any(not torch.equal(before[name], one) for name, one in merged.items())
    for name, one in merged.items():
        assert torch.allclose(sent[name], one, atol=1e-6), name


def test_without_adapters_the_weights_are_the_models_own(model: PreTrainedModel) -> None:
    assert merged_weights(model).keys() == model.state_dict().keys()


def test_a_tied_output_layer_is_written_under_its_own_name(
    model: PreTrainedModel, tmp_path: Path
) -> None:
    assert model.config.tie_word_embeddings
    write_weights(model, tmp_path)
    written = load_file(tmp_path / "model.safetensors")
    assert torch.equal(written["lm_head.weight"], written["model.embed_tokens.weight"])
