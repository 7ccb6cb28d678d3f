"""LoRA of 4-bit weights: it learns, and its result is in the weights that the base came with.

bitsandbytes computes on a CPU too, so these are real 4-bit weights.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from steiner.format.grammar import SPECIAL_TOKENS
from steiner.format.tokenizer import add_reasoning_tokens
from steiner.models import four_bit
from steiner.models.four_bit import BYTES_PER_WEIGHT, is_4bit
from steiner.models.loading import load_model, load_tokenizer
from steiner.recipe import SftRecipe
from steiner.training.checkpoints import last_checkpoint
from steiner.training.lora import check_lora, load_for_training
from steiner.training.losses import token_losses
from steiner.training.schedule import Schedule, schedule_of
from steiner.training.trainer import SequenceTrainer, train_sequences
from steiner.types import TokenSequence, UserError

pytest.importorskip("bitsandbytes")

RANK = 4
STAGE = SftRecipe(
    tokens=2400,
    batch_tokens=60,
    muon_lr=0.0,
    adam_lr=0.01,
    warmup_fraction=0.1,
    lora_rank=RANK,
    lora_4bit=True,
    precision="fp32",
    attention="sdpa",
    report_to="none",
    save_every_steps=15,
)
SCHEDULE = schedule_of(STAGE, 5, lora_rank=RANK)


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def base(
    request: pytest.FixtureRequest, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> Path:
    """The folder of a Llama that knows the reasoning tokens, in fp32."""
    add_reasoning_tokens(tokenizer)
    torch.manual_seed(1)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer) + 7,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            tie_word_embeddings=request.param,
        )
    )
    model.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def _rows(base: Path) -> list[TokenSequence]:
    """The reasoning tokens in order, between two others."""
    tokenizer = load_tokenizer(base)
    ids = (5, *tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)), 6)
    return [TokenSequence(ids, (1.0,) * len(ids))] * 8


def _train(base: Path, out: Path, schedule: Schedule = SCHEDULE) -> list[float]:
    """Trains `base` into `out`; returns the logged losses."""
    model, tokenizer = load_for_training(base, STAGE)
    trainer = train_sequences(model, tokenizer, _rows(base), schedule, out)
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(AutoModelForCausalLM.from_pretrained(folder).state_dict())


def test_the_result_is_the_base_plus_what_lora_trained(base: Path, tmp_path: Path) -> None:
    losses = _train(base, tmp_path / "out")
    assert losses[-1] < losses[0] - 1
    before, after = _weights(base), _weights(tmp_path / "out")
    assert after.keys() == before.keys()
    new = sorted(load_tokenizer(base).convert_tokens_to_ids(list(SPECIAL_TOKENS)))
    for name, weight in after.items():
        change = weight - before[name]
        if "proj" in name:  # 4-bit weights differ from their originals in every direction
            assert torch.linalg.matrix_rank(change, rtol=1e-4) == RANK, name
        elif "norm" in name:
            assert not change.any(), name
        else:
            assert change.any(1).nonzero().flatten().tolist() == new, name


def test_the_result_has_the_number_format_of_the_base(base: Path, tmp_path: Path) -> None:
    model, tokenizer = load_model(base)
    model.bfloat16().save_pretrained(tmp_path / "bf16")
    tokenizer.save_pretrained(tmp_path / "bf16")
    _train(tmp_path / "bf16", tmp_path / "out")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")
    assert {weight.dtype for weight in loaded.parameters()} == {torch.bfloat16}
    assert not hasattr(loaded.config, "quantization_config")
    assert not list((tmp_path / "out").glob("adapter_*"))  # transformers would load it


class Killed(BaseException):
    """As if the process were gone."""


def test_killed_training_ends_as_an_undisturbed_one(base: Path, tmp_path: Path) -> None:
    schedule = replace(SCHEDULE, activation_checkpointing=True)
    _train(base, tmp_path / "whole", schedule)
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
            _train(base, tmp_path / "killed", schedule)
    assert last_checkpoint(tmp_path / "killed") == str(tmp_path / "killed" / "checkpoint-15")
    _train(base, tmp_path / "killed", schedule)
    whole, killed = _weights(tmp_path / "whole"), _weights(tmp_path / "killed")
    assert all(torch.equal(weight, killed[name]) for name, weight in whole.items())


@torch.no_grad()
def _loss(model: PreTrainedModel, base: Path) -> float:
    ids = torch.tensor([_rows(base)[0].token_ids])
    return float(token_losses(model.eval(), ids, torch.ones_like(ids)).loss_N.mean())


def test_a_pass_without_gradients_leaves_the_weights_trainable(base: Path, tmp_path: Path) -> None:
    model, _ = load_for_training(base, STAGE)
    packed = {name: weight.clone() for name, weight in model.state_dict().items()}
    assert _loss(model, base) == pytest.approx(_loss(load_model(base)[0], base), abs=0.05)
    assert all(torch.equal(weight, packed[name]) for name, weight in model.state_dict().items())


def test_weights_take_the_bytes_that_the_plan_counts(base: Path) -> None:
    model, _ = load_for_training(base, STAGE)
    assert is_4bit(model)
    for name, weight in model.named_parameters():
        if "proj" in name:
            state = weight.quant_state
            scales = state.absmax.numel() + 4 * state.state2.absmax.numel()
            whole = state.shape.numel()
            assert weight.numel() + scales == pytest.approx(BYTES_PER_WEIGHT * whole, abs=4), name
        else:
            assert weight.dtype is torch.float32, name


def test_bad_settings_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lora_4bit is set, but lora_rank is 0"):
        check_lora(replace(STAGE, lora_rank=0))
    (tmp_path / "model.gguf").touch()
    with pytest.raises(UserError, match="neither GGUF files nor adapters"):
        load_for_training(tmp_path / "model.gguf", STAGE)
    monkeypatch.setattr(four_bit, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="needs bitsandbytes, which is not installed"):
        check_lora(STAGE)
