"""A run that cannot work is refused before its first stage, in one line with a hint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM
from transformers.integrations import integration_utils

from steiner.cli.main import main
from steiner.inference import vllm_client
from steiner.pipeline import plan
from steiner.pipeline.checks import check_report_to, check_training
from steiner.pipeline.runs import stage_named
from steiner.recipe import BaseRecipe
from steiner.recipe_file import load_recipe
from steiner.types import UserError

MakeModel = Callable[[], Qwen2ForCausalLM]


@pytest.fixture
def base(make_model: MakeModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> Path:
    make_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def _refusal(capsys: pytest.CaptureFixture[str], out: Path, *options: str) -> tuple[str, str]:
    """The error and the hint of `steiner run`."""
    assert main(["run", "--recipe", "smoke", "--out", str(out / "run"), *options]) == 2
    assert not (out / "run").exists()
    error, hint = capsys.readouterr().err.splitlines()
    return error, hint


def test_too_little_memory(
    base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plan, "device_memory", lambda: 0.3e9)
    error, hint = _refusal(capsys, base.parent, "--base", str(base))
    assert error.startswith("error: cpt needs about 0.")
    assert error.endswith("of memory, and 0.3 are free")
    assert "cpt.activation_checkpointing = true; `steiner plan` shows all parts" in hint


def test_memory_is_what_is_free_for_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "free_memory", lambda device: 8_000_000_000)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert plan.device_memory() == 8e9
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert plan.device_memory() == 1e9


def test_processes_share_the_memory(
    base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Eight fit into 8 times the memory of one, and not into less."""
    recipe = replace(load_recipe("smoke"), base=BaseRecipe(model=str(base)))
    needed = plan.plan(recipe, plan.shape_of(str(base)), plan.Devices(8))[0].needed
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr(plan, "free_memory", lambda device: int(8.1 * needed))
    check_training(recipe, base.parent / "run", [stage_named("cpt")])
    monkeypatch.setattr(plan, "free_memory", lambda device: int(7.9 * needed))
    with pytest.raises(UserError, match=r"GB of memory for each process, and .* are free"):
        check_training(recipe, base.parent / "run", [stage_named("cpt")])


@pytest.mark.parametrize(("recipe", "gpus"), [("qwen2.5-7b", 8), ("qwen2.5-32b", 32)])
def test_a_recipe_for_gpus_on_a_cpu(
    recipe: str,
    gpus: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    error, hint = _refusal(capsys, tmp_path, "--recipe", recipe)
    assert error == f"error: the recipe {recipe} needs {gpus} GPUs, and this machine has none"
    assert "--set gpus=0" in hint


def test_a_batch_for_many_gpus_on_this_machine(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens = ("--set", "sft.batch_tokens=100_000_000_000")
    error, hint = _refusal(capsys, base.parent, "--base", str(base), *tokens)
    assert "sft needs about" in error
    assert "sft.activation_checkpointing = true" in hint


def test_a_base_without_a_chat_template(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (base / "chat_template.jinja").unlink()
    error, hint = _refusal(capsys, base.parent, "--base", str(base))
    assert "the tokenizer has no chat template" in error
    assert "instruction-tuned" in hint


def test_a_base_that_is_no_causal_model(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (base / "config.json").write_text('{"model_type": "t5"}')
    error, _ = _refusal(capsys, base.parent, "--base", str(base))
    assert "is no causal language model" in error


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (("rl.lora_4bit=true",), "lora_4bit is set, but lora_rank is 0"),
        (("sft.lora_rank=8",), "but LoRA trains with AdamW"),
        (("rl.rollouts_per_problem=1",), "rl.rollouts_per_problem is 1"),
        (("rl.term_weights={dead_ends = 1.0}",), "unknown reward term 'dead_ends'"),
        (("rl.levels={countdown = 99}",), "rl.levels.countdown is 99"),
        (("rl.rollouts=vllm", "rl.vllm_url=localhost:1"), "the vLLM server's URL is"),
        (("sft.report_to=tensorbord",), "unknown service 'tensorbord' in sft.report_to"),
        (("rl.report_to=tensorboard, wandb",), "unknown service ' wandb' in rl.report_to"),
    ],
)
def test_settings_of_a_later_stage(
    settings: tuple[str, ...], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [part for setting in settings for part in ("--set", setting)]
    assert line in _refusal(capsys, tmp_path, *options)[0]


def test_a_service_whose_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integration_utils, "is_wandb_available", lambda: False)
    with pytest.raises(UserError, match=r"rl\.report_to: WandbCallback requires wandb") as refusal:
        check_report_to("rl", "tensorboard,wandb")
    assert "rl.report_to=none" in refusal.value.hint


def test_pretraining_checks_its_own_service(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pretrain", "--out", str(tmp_path / "run"), "--set", "base.report_to=wandbb"]) == 2
    assert "unknown service 'wandbb' in base.report_to" in capsys.readouterr().err


def test_a_vllm_server_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It stops RL. Before CPT and SFT it is a note: the server may start when SFT is done."""
    monkeypatch.setattr(vllm_client, "TRIES", 1)
    recipe = load_recipe("smoke", ["rl.rollouts=vllm", "rl.vllm_url=http://127.0.0.1:9"])
    with pytest.raises(UserError, match="cannot reach vLLM at"):
        check_training(recipe, tmp_path, [stage_named("rl")])
    check_training(recipe, tmp_path, [stage_named("sft"), stage_named("rl")])
    assert "it must answer when RL begins" in capsys.readouterr().err


def test_a_corpus_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpora = ("--set", 'cpt.corpora={"handbook.txt" = 1.0}')
    error, _ = _refusal(capsys, tmp_path, *corpora)
    assert error.startswith("error: cannot read the corpus handbook.txt:")


def test_synthesis_needs_no_base(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "device_memory", lambda: 0.0)
    small = ["--set", "synth.dags=10", "--set", "synth.paths=10", "--set", "synth.workers=1"]
    options = ["--recipe", "smoke", "--base", "nowhere", "--out", str(tmp_path / "run")]
    assert main(["synth", *options, *small]) == 0
