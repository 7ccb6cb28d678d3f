"""LoRA: what it trains, what it leaves, and a killed training that ends as an undisturbed one."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from steiner.format.grammar import SPECIAL_TOKENS
from steiner.format.tokenizer import add_reasoning_tokens
from steiner.recipe import SftRecipe
from steiner.training import trainer
from steiner.training.checkpoints import last_checkpoint
from steiner.training.lora import check_lora, lora
from steiner.training.losses import token_losses
from steiner.training.schedule import Schedule
from steiner.training.trainer import SequenceTrainer, train_sequences
from steiner.types import TokenSequence, UserError

SCHEDULE = Schedule(
    tokens=2400,
    batch_tokens=60,
    muon_lr=0.0,
    adam_lr=0.01,
    warmup_fraction=0.1,
    seed=5,
    bf16=False,
    attention="sdpa",
    report_to="none",
    save_every_steps=15,
    activation_checkpointing=False,
    lora_rank=4,
)

ADAPTER_WEIGHTS = "adapter/adapter_model.safetensors"


@pytest.fixture(scope="module")
def tokenizer(base_tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """With the reasoning tokens."""
    extended = deepcopy(base_tokenizer)
    add_reasoning_tokens(extended)
    return extended


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def model(request: pytest.FixtureRequest, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    return _model(tokenizer, tied=request.param)


def _model(tokenizer: PreTrainedTokenizerBase, *, tied: bool) -> PreTrainedModel:
    """A Llama with padded embeddings, the same each time."""
    torch.manual_seed(1)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer) + 7,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=tied,
        )
    )


def _rows(tokenizer: PreTrainedTokenizerBase) -> list[TokenSequence]:
    """The reasoning tokens in order, between two others."""
    ids = (5, *tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)), 6)
    return [TokenSequence(ids, (1.0,) * len(ids))] * 8


def test_only_linear_layers_and_new_rows_change(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    trainer = train_sequences(model, tokenizer, _rows(tokenizer), SCHEDULE, tmp_path)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0] - 1
    after = model.state_dict()
    assert after.keys() == before.keys()
    new = sorted(tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)))
    for name, weight in after.items():
        changed = (weight != before[name]).reshape(len(weight), -1).any(1).nonzero().flatten()
        if "proj" in name:
            assert len(changed) == len(weight), name
        elif "norm" in name:
            assert not len(changed), name
        else:
            assert changed.tolist() == new, name


def test_gradients_reach_the_new_rows_of_the_head(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Losses in chunks give the same gradients as all logits at once."""
    ids_BT = torch.tensor([row.token_ids for row in _rows(tokenizer)])
    with lora(model, tokenizer, 4, seed=1):
        gradients = []
        for chunked in (True, False):
            model.zero_grad()
            if chunked:
                token_losses(model, ids_BT, torch.ones(ids_BT.shape)).total.backward()
            else:
                logits_NV = model(ids_BT).logits[:, :-1].flatten(0, 1)
                targets_N = ids_BT[:, 1:].flatten()
                torch.nn.functional.cross_entropy(logits_NV, targets_N, reduction="sum").backward()
            trained = [w for w in model.parameters() if w.requires_grad]
            gradients.append([w.grad.clone() for w in trained])
        head = model.get_output_embeddings()
        deltas = [w for name, w in head.named_parameters() if "trainable_tokens" in name]
        assert all(delta.grad is not None and delta.grad.any() for delta in deltas)
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_saved_folder_is_an_ordinary_model(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    train_sequences(model, tokenizer, _rows(tokenizer), SCHEDULE, tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert all(torch.equal(loaded.state_dict()[n], w) for n, w in model.state_dict().items())
    ids = torch.arange(12)[None]
    assert torch.equal(loaded(ids).logits, model.eval()(ids).logits)
    assert not list(tmp_path.glob("adapter_*"))  # transformers would load it
    assert all(parameter.requires_grad for parameter in model.parameters())


class Killed(BaseException):
    """As if the process were gone."""


@pytest.mark.parametrize("tied", [True, False])
def test_killed_training_ends_as_an_undisturbed_one(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, tied: bool
) -> None:
    rows = _rows(tokenizer)
    whole, killed = _model(tokenizer, tied=tied), _model(tokenizer, tied=tied)
    train_sequences(whole, tokenizer, rows, SCHEDULE, tmp_path / "whole")
    compute, calls = SequenceTrainer.compute_loss, 0

    def counted(self, *inputs, **options):
        nonlocal calls
        calls += 1
        if calls == 20:
            raise Killed
        return compute(self, *inputs, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SequenceTrainer, "compute_loss", counted)
        with pytest.raises(Killed):
            train_sequences(killed, tokenizer, rows, SCHEDULE, tmp_path / "killed")
    assert last_checkpoint(tmp_path / "killed") == str(tmp_path / "killed" / "checkpoint-15")
    saved = load_file(tmp_path / "killed" / "checkpoint-15" / "model.safetensors")
    assert all("lora_" in name or "trainable_tokens" in name for name in saved)
    again = _model(tokenizer, tied=tied)
    train_sequences(again, tokenizer, rows, SCHEDULE, tmp_path / "killed")
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    adapters = [load_file(tmp_path / name / ADAPTER_WEIGHTS) for name in ("whole", "killed")]
    assert adapters[0].keys() == adapters[1].keys()
    assert all(torch.equal(weight, adapters[1][name]) for name, weight in adapters[0].items())


def test_few_parameters_are_trainable(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    with lora(model, tokenizer, rank=1, seed=0):
        sizes = [p.numel() for p in model.parameters() if p.requires_grad]
    width, kv, inner, layers = 32, 16, 64, 2
    pairs = [(width, width), (width, kv), (width, kv), (width, width)] + [(width, inner)] * 3
    tables = 1 if model.config.tie_word_embeddings else 2
    new_rows = tables * len(SPECIAL_TOKENS) * width
    assert sum(sizes) == layers * sum(a + b for a, b in pairs) + new_rows


def test_bad_settings_are_named(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    with (
        pytest.raises(UserError, match="lora_rank is -1"),
        lora(model, tokenizer, rank=-1, seed=0),
    ):
        pass
    with pytest.raises(UserError, match="but LoRA trains with AdamW"):
        check_lora(SftRecipe(lora_rank=8))


def test_sharding_that_a_cpu_cannot_do_is_said(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(trainer, "wants_sharding", lambda: True)
    once = replace(SCHEDULE, tokens=60)
    train_sequences(model, tokenizer, _rows(tokenizer), once, tmp_path)
    assert "weights    whole in each process" in capsys.readouterr().err
