"""The plan: its numbers against real models and hand arithmetic, and what it prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from steiner.cli.main import main
from steiner.pipeline.plan import Devices, ModelShape, plan, plan_table, shape_of
from steiner.recipe import EMBEDDED_BASE, Recipe
from steiner.recipe_file import load_recipe, shipped_recipes
from steiner.training.lora import lora
from steiner.types import UserError

SHAPE = ModelShape(
    architecture="A",
    parameters=1000,
    embeddings=400,
    layers=3,
    width=8,
    feed_forward=16,
    vocabulary=50,
    kv_width=4,
    linear_weights=500,
    linear_widths=60,
)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return load_recipe("questions")


@pytest.mark.parametrize("tied", [True, False])
def test_the_shape_is_that_of_the_model(
    tied: bool, base_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    config = LlamaConfig(
        vocab_size=90,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=tied,
    )
    model = LlamaForCausalLM(config)
    model.save_pretrained(tmp_path)
    shape = shape_of(str(tmp_path))
    assert shape.architecture == "LlamaForCausalLM"
    assert shape.parameters == model.num_parameters()
    assert shape.embeddings == 90 * 32 * (1 if tied else 2)
    assert (shape.layers, shape.width, shape.feed_forward) == (2, 32, 48)
    assert (shape.vocabulary, shape.kv_width) == (90, 16)
    layer = 2 * 32 * 32 + 2 * 32 * 16 + 3 * 32 * 48
    assert shape.linear_weights == 2 * layer
    with lora(model, base_tokenizer, rank=3, seed=0):  # no reasoning tokens, so no rows
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert trained == 3 * shape.linear_widths


def test_memory_by_hand(recipe: Recipe) -> None:
    kept = replace(recipe.sft, activation_checkpointing=False, batch_tokens=100, tokens=10)
    sft = plan(replace(recipe, sft=kept), SHAPE, Devices(count=2))[1]
    assert (sft.parts["weights"], sft.parts["gradients"], sft.parts["optimiser"]) == (
        4000,
        4000,
        8000,
    )
    assert sft.parts["activations"] == 3 * (34 * 8 + 12 * 16) * 50
    assert sft.parts["logits"] == 12 * 50 * 512
    assert sft.flops == 6 * 1000 * 10
    by_muon = plan(replace(recipe, sft=replace(kept, muon_lr=0.1)), SHAPE, Devices())[1]
    assert by_muon.parts["optimiser"] == 8 * 400 + 4 * 600


def test_the_kv_cache_is_that_of_the_engine(recipe: Recipe) -> None:
    rl = replace(
        recipe.rl, max_tokens=800, problems_per_step=2, rollouts_per_problem=4, oversample=1
    )
    small = replace(recipe, rl=rl)
    # 3 layers, keys and values of 4 numbers in fp32, 8 rows; 1000 tokens, so 1.5 times that
    cache = 3 * 2 * 4 * 4 * 8 * 2064
    assert plan(small, SHAPE, Devices())[2].parts["KV cache"] == cache
    tight = Devices(memory=0.7e9 + cache)
    parts = plan(small, SHAPE, tight)[2].parts
    assert parts["KV cache"] == (cache - parts["weights"]) / 2


def test_decoding_reads_the_weights_for_each_token(recipe: Recipe) -> None:
    rl = replace(
        recipe.rl,
        steps=10,
        max_tokens=800,
        problems_per_step=2,
        rollouts_per_problem=4,
        oversample=1,
    )
    small = replace(recipe, rl=rl)
    devices = Devices(flops=1e12, bandwidth=1e6, price=3.6)
    stage = plan(small, SHAPE, devices)[2]
    # 8 rows decode together, so 800 tokens a step; 4 bytes for each of 1000 parameters
    read = 10 * 800 * (4000 + stage.parts["KV cache"] / 2)
    assert stage.decoding == read
    assert stage.seconds(devices) == read / 1e6 + stage.flops / 1e12
    text = plan_table(SHAPE, devices, plan(small, SHAPE, devices))
    [cost] = [line.split() for line in text.splitlines() if line.startswith("cost")]
    assert cost[-1] == f"{stage.seconds(devices) / 1000:.2f}"
    # half the KV cache holds half the rows: twice the steps
    tight = replace(devices, memory=0.7e9 + 4000 + stage.parts["KV cache"])
    half = plan(small, SHAPE, tight)[2]
    assert half.parts["KV cache"] == pytest.approx(stage.parts["KV cache"] / 2)
    assert half.decoding == pytest.approx(2 * 8000 * (4000 + stage.parts["KV cache"] / 4))
    assert plan(small, SHAPE, Devices(2))[2].decoding < stage.decoding


def test_checkpointing_lora_and_sharding_take_less(recipe: Recipe) -> None:
    kept = replace(recipe.sft, activation_checkpointing=False)
    again = replace(kept, activation_checkpointing=True)
    adapted = replace(again, lora_rank=2)
    totals = [
        plan(replace(recipe, sft=sft), SHAPE, devices)[1].total
        for sft, devices in (
            (kept, Devices()),
            (again, Devices()),
            (adapted, Devices()),
            (adapted, Devices(4)),
            (adapted, Devices(4, sharded=True)),
        )
    ]
    assert totals == sorted(totals, reverse=True)
    assert len(set(totals)) == 5
    lora_only = plan(replace(recipe, sft=adapted), SHAPE, Devices())[1]
    assert lora_only.parts["gradients"] == 4 * 2 * 60
    # 6 for each trained weight, 4 for each frozen one, 2 for the second forward pass
    assert lora_only.flops == recipe.sft.tokens * (6 * 120 + 4 * 880 + 2 * 1000)


def test_four_bits_by_hand(recipe: Recipe) -> None:
    adapted = replace(recipe.sft, lora_rank=2, lora_4bit=True)
    sft = plan(replace(recipe, sft=adapted), SHAPE, Devices())[1]
    # of 64 weights: 32 bytes, one for their scale, and 4 for each 256 of these
    assert sft.parts["weights"] == 500 * (33 + 4 / 256) / 64 + 4 * 500
    rl = replace(recipe.rl, lora_rank=2, lora_4bit=True, kl_beta=0.1)
    assert plan(replace(recipe, rl=rl), SHAPE, Devices())[2].parts["weights"] == (
        sft.parts["weights"] + 4 * 1000
    )


def test_what_does_not_fit_has_a_hint(recipe: Recipe) -> None:
    small = Devices(memory=0.75e9, flops=1e12)
    text = plan_table(SHAPE, small, plan(recipe, SHAPE, small))
    fits = next(line for line in text.splitlines() if line.startswith("fits in 0.75 GB"))
    assert fits.split()[4:] == ["yes", "yes", "yes"]
    none = replace(small, memory=0.1e9)
    text = plan_table(SHAPE, none, plan(recipe, SHAPE, none))
    assert "sft does not fit: try sft.lora_rank = 16" in text
    assert "rl does not fit: try rl.rollouts_per_batch = 2" in text
    without = replace(recipe, rl=replace(recipe.rl, activation_checkpointing=False))
    text = plan_table(SHAPE, none, plan(without, SHAPE, none))
    assert "rl does not fit: try rl.activation_checkpointing = true" in text
    one = replace(recipe.rl, rollouts_per_batch=1)
    text = plan_table(SHAPE, none, plan(replace(recipe, rl=one), SHAPE, none))
    assert "rl does not fit: try rl.lora_rank = 16" in text
    adapted = replace(recipe.sft, lora_rank=16)
    text = plan_table(SHAPE, none, plan(replace(recipe, sft=adapted), SHAPE, none))
    assert "sft does not fit: try sft.lora_4bit = true" in text
    assert (
        plan(recipe, SHAPE, replace(none, count=2, sharded=True))[2].parts["weights"]
        == (plan(recipe, SHAPE, none)[2].parts["weights"])
    )


def test_bad_input_is_one_line(recipe: Recipe, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="--gpus is 0"):
        plan(recipe, SHAPE, Devices(0))
    assert main(["plan", "--base", "nowhere"]) == 2
    assert "no model folder nowhere" in capsys.readouterr().err
    assert main(["plan", "--memory", "-1"]) == 2
    assert "--memory is -1" in capsys.readouterr().err
    assert main(["plan", "tiny", "--recipe", "smoke"]) == 2
    assert "two recipes are named" in capsys.readouterr().err


def test_the_recipe_may_come_first(capsys: pytest.CaptureFixture[str]) -> None:
    devices = ["--gpus", "8", "--memory", "0.7", "--tflops", "1"]
    outputs = []
    for recipe in (["smollm2-135m"], ["--recipe", "smollm2-135m"]):
        assert main(["plan", *recipe, *devices, "--base", str(EMBEDDED_BASE)]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    assert "at 1 TFLOP/s on each of 8" in outputs[0]
    assert "cpt does not fit: try to spread the weights over the devices" in outputs[0]


@pytest.mark.parametrize("name", shipped_recipes())
def test_the_command_prints_each_stage(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--memory", "4", "--tflops", "0.1", "--base", str(EMBEDDED_BASE)]
    assert main(["plan", "--recipe", name, *options]) == 0
    out = capsys.readouterr().out
    assert "Qwen2ForCausalLM, 1,147,776 parameters" in out
    assert out.splitlines()[1].split() == ["GB", "per", "device", "cpt", "sft", "rl"]
    assert "at 0.1 TFLOP/s on each of 1" in out
    weights = next(line for line in out.splitlines() if line.startswith("weights"))
    assert all(0 < float(cell) < 0.01 for cell in weights.split()[1:])
    assert "free on this machine" not in out
    assert "measured just now" not in out


def test_without_a_device_the_plan_is_for_this_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("steiner.pipeline.plan.device_memory", lambda: 0.75e9)
    assert main(["plan", "--base", str(EMBEDDED_BASE)]) == 0
    out = capsys.readouterr().out
    assert "that rate was measured just now" in out
    assert next(line for line in out.splitlines() if line.startswith("fits in 0.75 GB"))
    assert "rl does not fit: try rl." in out
    assert "0.75 GB is the memory that is free on this machine now" in out


def test_what_fits_is_what_the_table_says(
    recipe: Recipe, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The KV cache takes a share of what is free here, in the total too."""
    shape = shape_of(str(EMBEDDED_BASE))
    free = plan(recipe, shape, Devices())[2].needed - 1e6
    assert plan(recipe, shape, Devices(memory=free))[2].needed < free
    monkeypatch.setattr("steiner.pipeline.plan.device_memory", lambda: free)
    options = ["--recipe", "questions", "--tflops", "1", "--base", str(EMBEDDED_BASE)]
    assert main(["plan", *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    [together] = [line.split()[1:] for line in lines if line.startswith("together")]
    [fits] = [line.split()[-3:] for line in lines if line.startswith("fits in")]
    assert fits == ["yes" if float(total) * 1e9 <= free else "no" for total in together]
    assert fits[2] == "yes"


def test_lora_with_muon_is_refused_as_in_training(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "tiny", "--tflops", "1", "--set", "sft.lora_rank=16"]) == 2
    assert "LoRA trains with AdamW" in capsys.readouterr().err
