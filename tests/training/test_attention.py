"""The choice of attention: what it measures, what it leaves alone, and that a resumed training
keeps it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, Qwen2ForCausalLM

from steiner.data.batching import TokenBatches
from steiner.files import read_json, write_json
from steiner.training import attention
from steiner.training.attention import (
    BatchShape,
    attention_seconds,
    choose_attention,
    shape_of_batches,
)
from steiner.types import UserError

SHAPE = BatchShape(rows=2, tokens=32)
MakeModel = Callable[[], Qwen2ForCausalLM]


def gpt2() -> GPT2LMHeadModel:
    """Its layers are called `h`, and take other arguments than Qwen2's."""
    return GPT2LMHeadModel(GPT2Config(n_layer=2, n_head=2, n_embd=32, vocab_size=300))


def attention_of(model: PreTrainedModel) -> Any:
    return model.config._attn_implementation


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[BatchShape]:
    """The shapes that are measured; plain attention seems to take half as long."""
    shapes = []

    def seconds(_: PreTrainedModel, shape: BatchShape, **__: Any) -> dict[str, float]:
        shapes.append(shape)
        return {"sdpa": 0.02, "eager": 0.01}

    monkeypatch.setattr(attention, "attention_seconds", seconds)
    return shapes


@pytest.mark.parametrize("left_padded", [False, True])
@pytest.mark.parametrize("make", ["qwen2", "gpt2"])
def test_measuring_changes_neither_weights_nor_random_state(
    make: str, left_padded: bool, make_model: MakeModel
) -> None:
    model = make_model() if make == "qwen2" else gpt2()
    model.train()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    state = torch.get_rng_state()
    found = attention_seconds(model, BatchShape(2, 32, left_padded), bf16=True)
    assert set(found) == {"sdpa", "eager"}
    assert all(0 < seconds < float("inf") for seconds in found.values())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(weight.grad is None for weight in model.parameters())
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name]), name
    assert model(torch.tensor([[1, 2]])).logits.shape[1] == 2  # no hook is left behind


def test_each_kind_is_measured_with_its_own_attention(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with no more rows than the limit in operations leaves."""
    model, seen = make_model(), []
    layer = model.model.layers[0]
    run = attention._LayerPass.run

    def noted(self: Any, autocast: Any) -> float:
        seen.append((attention_of(model), self._inputs[0].shape[0]))
        return run(self, autocast)

    per_row = 6 * 32 * sum(weight.numel() for weight in layer.parameters())
    monkeypatch.setattr(attention, "_MAX_FLOPS", 3 * per_row)
    monkeypatch.setattr(attention._LayerPass, "run", noted)
    attention_seconds(model, BatchShape(8, 32), bf16=False)
    assert set(seen) == {("sdpa", 3), ("eager", 3)}


@pytest.mark.parametrize("wanted", ["sdpa", "eager"])
def test_the_recipe_decides(
    wanted: Any, make_model: MakeModel, timed: list[BatchShape], tmp_path: Path
) -> None:
    model = make_model()
    assert choose_attention(model, wanted, SHAPE, tmp_path, bf16=False) == wanted
    assert attention_of(model) == wanted
    assert not timed


def test_a_resumed_training_keeps_the_choice(
    make_model: MakeModel,
    timed: list[BatchShape],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = make_model()
    assert choose_attention(model, "auto", SHAPE, tmp_path, bf16=False) == "eager"
    said = capsys.readouterr().err
    assert said == "attention  eager; a layer takes sdpa 20 ms, eager 10 ms\n"
    assert timed == [SHAPE]
    write_json(tmp_path / "logs" / "attention.json", {"attention": "sdpa"})
    assert choose_attention(model, "auto", SHAPE, tmp_path, bf16=False) == "sdpa"
    assert attention_of(model) == "sdpa"
    assert timed == [SHAPE]  # not again
    choose_attention(model, "eager", SHAPE, tmp_path, bf16=False)
    assert read_json(tmp_path / "logs" / "attention.json") == {"attention": "eager"}


@pytest.mark.parametrize(
    ("eager", "said"),
    [
        (0.0098, "eager 9.8 ms, too little to prefer eager (below 80 %)"),
        (0.0125, "eager 12.5 ms"),
    ],
)
def test_nearly_equal_times_choose_fused_attention(
    make_model: MakeModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    eager: float,
    said: str,
) -> None:
    seconds = {"sdpa": 0.0100, "eager": eager}
    monkeypatch.setattr(attention, "attention_seconds", lambda *_, **__: seconds)
    assert choose_attention(make_model(), "auto", SHAPE, tmp_path, bf16=False) == "sdpa"
    assert capsys.readouterr().err == f"attention  sdpa; a layer takes sdpa 10 ms, {said}\n"


def test_a_model_without_fused_attention(
    make_model: MakeModel, timed: list[BatchShape], tmp_path: Path
) -> None:
    model = make_model()
    model._supports_sdpa = False
    assert choose_attention(model, "auto", SHAPE, tmp_path, bf16=False) == "eager"
    assert not timed
    with pytest.raises(UserError, match="Qwen2ForCausalLM has no fused attention"):
        choose_attention(model, "sdpa", SHAPE, tmp_path, bf16=False)


def test_the_shape_is_that_of_the_average_token() -> None:
    # (3 x 10 x 10 + 90 x 90) / (3 x 10 + 90) = 70 tokens, padded to 96; 500 tokens hold 5 rows,
    # 2 for each of two processes
    batches = TokenBatches([10, 10, 10, 90], batch_tokens=500, seed=0, num_processes=2)
    assert shape_of_batches(batches) == BatchShape(rows=2, tokens=96)
