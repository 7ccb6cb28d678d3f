"""The unmerged adapter of a LoRA stage: on its base it gives the same model as the merged one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from steiner.format.grammar import SPECIAL_TOKENS
from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens
from steiner.inference import model_loading
from steiner.models import loading
from steiner.models.gguf_files import write_gguf
from steiner.models.loading import load_model
from steiner.models.saving import save_model
from steiner.models.sources import ADAPTER
from steiner.pipeline.plan import shape_of
from steiner.pipeline.stage import Stage, read_stamp, run_stage
from steiner.recipe import Recipe, SftRecipe
from steiner.training import trainer
from steiner.types import UserError
from tests.lora_training import LORA, TEMPERATURE, train_lora
from tests.small_model import small_qwen2

SAME = 1e-5
"""Largest difference of logits, which are up to 2: only the order of the sums differs."""


def _base(tokenizer: PreTrainedTokenizerBase, folder: Path, *, tied: bool = True) -> Path:
    torch.manual_seed(1)
    model = small_qwen2(len(tokenizer), 64, tie_word_embeddings=tied)
    save_model(model, tokenizer, folder)
    return folder


@pytest.fixture
def run(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> Path:
    """A run whose SFT was LoRA on its CPT, which knows the reasoning tokens."""
    add_reasoning_tokens(tokenizer)
    train_lora(_base(tokenizer, tmp_path / "run" / "cpt"), tmp_path / "run" / "sft")
    return tmp_path / "run"


@torch.no_grad()
def _logits(model: PreTrainedModel) -> torch.Tensor:
    """Of all tokens, the new ones included."""
    size = model.get_input_embeddings().weight.shape[0]
    logits: torch.Tensor = model.eval()(torch.arange(size)[None]).logits
    return logits


def _difference(adapter: Path, merged: Path) -> float:
    return float((_logits(load_model(adapter)[0]) - _logits(load_model(merged)[0])).abs().max())


@pytest.mark.parametrize("tied", [True, False])
def test_the_adapter_is_the_merged_model(
    tied: bool, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """As CPT trains it: the base lacks the tokens, so embeddings and tokenizer have grown."""
    base = _base(tokenizer, tmp_path / "base", tied=tied)
    out = train_lora(base, tmp_path / "cpt")
    (merged, _), (model, found) = load_model(out), load_model(out / ADAPTER)
    Vocabulary.require(found)
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer) + len(SPECIAL_TOKENS)
    assert (_logits(model) - _logits(merged)).abs().max() < SAME
    size = len(tokenizer)
    change = _logits(model)[:, :size, :size] - _logits(load_model(base)[0])
    assert change.abs().max() > 100 * SAME
    assert (
        model.generation_config.temperature == merged.generation_config.temperature == TEMPERATURE
    )
    names = {path.name for path in (out / ADAPTER).iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "README.md"} < names
    assert {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"} < names
    whole = (out / "model.safetensors").stat().st_size
    assert (out / ADAPTER / "adapter_model.safetensors").stat().st_size < whole / 2


@pytest.mark.parametrize("tied", [True, False])
def test_peft_opens_it(tied: bool, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    out = train_lora(_base(tokenizer, tmp_path / "base", tied=tied), tmp_path / "cpt")
    opened = AutoPeftModelForCausalLM.from_pretrained(out / ADAPTER)
    assert any("lora_A" in name for name, _ in opened.named_parameters())
    assert (_logits(opened) - _logits(load_model(out)[0])).abs().max() < SAME


def test_4_bit_lora_leaves_one_too(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    base = _base(tokenizer, tmp_path / "base")
    out = train_lora(base, tmp_path / "cpt", replace(LORA, lora_4bit=True))
    assert _difference(out / ADAPTER, out) < SAME


def test_it_works_on_a_gguf_file(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    model, tokenizer = load_model(_base(tokenizer, tmp_path / "base"))
    write_gguf(model, tokenizer, tmp_path / "base.gguf", matrices="f32")
    out = train_lora(tmp_path / "base.gguf", tmp_path / "cpt")
    assert _difference(out / ADAPTER, out) < SAME


def test_it_works_on_another_adapter(run: Path) -> None:
    out = train_lora(run / "sft" / ADAPTER, run / "rl")
    assert _difference(out / ADAPTER, out) < SAME
    assert _difference(out / ADAPTER, run / "sft") > 100 * SAME
    assert shape_of(str(out / ADAPTER)) == shape_of(str(run / "cpt"))


def test_a_run_can_be_moved(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = run.rename(tmp_path / "moved")
    assert _difference(moved / "sft" / ADAPTER, moved / "sft") < SAME
    monkeypatch.chdir(moved / "sft")
    assert _difference(Path(ADAPTER), moved / "sft") < SAME
    (moved / "cpt").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="its base is missing: no model folder") as refusal:
        load_model(moved / "sft" / ADAPTER)
    assert "base_model_name_or_path" in refusal.value.hint


def test_the_size_of_the_base_decides_the_number_format(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large base is read in bf16 at once, however small its adapter is."""
    load, dtypes = loading.load_model, []

    def noted(source: Path, dtype: torch.dtype) -> object:
        dtypes.append(dtype)
        return load(source, dtype)

    monkeypatch.setattr(loading, "load_model", noted)
    monkeypatch.setattr(model_loading, "fastest_dtype", lambda device: torch.bfloat16)
    weights = (run / "cpt" / "model.safetensors").stat().st_size
    for large in (weights // 4, weights // 4 + 1):
        monkeypatch.setattr(model_loading, "_LARGE", large)
        model_loading.load_reasoning_model(run / "sft" / ADAPTER)
    assert dtypes == [torch.bfloat16, torch.float32]


def test_another_base_is_one_line(run: Path) -> None:
    config = run / "sft" / ADAPTER / "adapter_config.json"
    _, tokenizer = load_model(run / "cpt")
    torch.manual_seed(1)
    save_model(small_qwen2(len(tokenizer), 32), tokenizer, run / "narrow")
    for base, reason in (("narrow", "does not fit its base"), ("sft/adapter", "names itself")):
        record = {**json.loads(config.read_text()), "base_model_name_or_path": str(run / base)}
        config.write_text(json.dumps(record))
        with pytest.raises(UserError, match=reason) as refusal:
            load_model(run / "sft" / ADAPTER)
        assert "\n" not in str(refusal.value)


def test_full_training_leaves_none(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    out = train_lora(_base(tokenizer, tmp_path / "base"), tmp_path / "sft", SftRecipe(tokens=60))
    assert not (out / ADAPTER).exists()


class Killed(BaseException):
    """As if the process were gone."""


def test_a_stage_with_an_adapter_is_made_once_and_whole(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
        train_lora(run_dir / "cpt", out_dir, recipe.sft)

    def kill(*_: object) -> None:
        raise Killed

    stage, recipe = Stage("rl", "", ("sft",), (), work), Recipe(name="little", sft=LORA)
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "save_trained", kill)  # once the adapter is there
        with pytest.raises(Killed):
            run_stage(stage, recipe, run)
    assert not (run / "rl").exists()
    stamp = run_stage(stage, recipe, run)
    assert stamp.sessions == 2
    weights = f"{ADAPTER}/adapter_model.safetensors"
    assert stamp.files is not None
    assert weights in stamp.files
    assert torch.equal(_logits(load_model(run / "rl")[0]), _logits(load_model(run / "sft")[0]))
    assert f"--model {run / 'rl' / ADAPTER}\n" in (run / "rl" / ADAPTER / "README.md").read_text()
    assert run_stage(stage, recipe, run) == read_stamp(run / "rl") == stamp
    (run / "rl" / weights).unlink()
    assert read_stamp(run / "rl") is None
