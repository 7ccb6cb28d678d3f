"""RL on rollouts of a program with its own copy of the weights; tests/vllm has it with vLLM."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from steiner.dags.source import SolverDagSource
from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens, train_tokenizer
from steiner.inference.engine import Engine
from steiner.inference.request import Request
from steiner.recipe import ProblemsRecipe, Recipe, RlRecipe
from steiner.rl import grpo, rollout_backend
from steiner.rl import rollout_groups as groups
from steiner.rl.rollout_mismatch import MAX, MEAN
from steiner.tasks import generate_problems
from steiner.types import Rollout, Split
from tests.small_model import small_qwen2

RECIPE = Recipe(
    "server",
    problems=ProblemsRecipe({"countdown": 1}),
    rl=RlRecipe(
        steps=2,
        problems_per_step=2,
        rollouts_per_problem=2,
        rollouts_per_batch=2,
        lr=1e-2,
        warmup_fraction=0.0,
        max_steps=2,
        max_tokens=60,
        precision="fp32",
        attention="sdpa",
        report_to="none",
        rollouts="vllm",
        vllm_url="http://server:8000",
    ),
)


class OwnCopy:
    """Stands in for VllmBackend: an engine on the weights that it got last."""

    def __init__(self, url: str, vocabulary: Vocabulary) -> None:
        assert url == "http://server:8000"
        self._vocabulary = vocabulary

    def load_weights(self, folder: Path) -> None:
        model = AutoModelForCausalLM.from_pretrained(folder)
        self._engine = Engine(model, self._vocabulary, max_length=1024)

    def generate(self, requests: Sequence[Request]) -> list[Rollout]:
        return self._engine.generate(requests)


@pytest.fixture(autouse=True)
def own_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_backend, "VllmBackend", OwnCopy)
    monkeypatch.setattr(groups, "_POOL_SIZE", 6)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run folder with sft/ in it."""
    problems = generate_problems("countdown", 1, seed=9, split=Split.TRAIN)
    tokenizer = train_tokenizer([next(problems).question for _ in range(4)], 420)
    add_reasoning_tokens(tokenizer)
    torch.manual_seed(0)
    small_qwen2(len(tokenizer), max_position_embeddings=1024).save_pretrained(tmp_path / "sft")
    tokenizer.save_pretrained(tmp_path / "sft")
    return tmp_path


def log_of_training(run_dir: Path, **settings: int) -> list[dict[str, float]]:
    recipe = replace(RECIPE, rl=replace(RECIPE.rl, **settings))  # type: ignore[arg-type]
    grpo.train(recipe, run_dir, run_dir / "rl")
    state = json.loads((run_dir / "rl" / "logs" / "trainer_state.json").read_text())
    assert not (run_dir / "rl" / "vllm_weights").exists()
    return [entry for entry in state["log_history"] if "loss" in entry]


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_synchronised_weights_give_the_trainers_logprobs(lora_rank: int, run_dir: Path) -> None:
    for entry in log_of_training(run_dir, lora_rank=lora_rank):
        assert 0 < entry[MEAN] <= entry[MAX] < 1e-4


def test_older_weights_show_in_the_mismatch(run_dir: Path) -> None:
    first, second = log_of_training(run_dir, sync_every=2)
    assert first[MAX] < 1e-4 < 1e-3 < second[MEAN] <= second[MAX]


def test_only_the_first_of_several_updates_counts(run_dir: Path) -> None:
    """Before the second, the trainer's weights have changed."""
    first, second = log_of_training(run_dir, updates_per_generation=2)
    assert first[MAX] < 1e-4
    assert MAX not in second


def test_the_ratio_is_to_what_the_rollouts_were_drawn_from(run_dir: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(run_dir / "sft")
    vocabulary = Vocabulary.require(AutoTokenizer.from_pretrained(run_dir / "sft"))
    trainer = grpo.build_trainer(
        RECIPE, model, vocabulary.tokenizer, run_dir / "rl", SolverDagSource()
    )
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    batch = trainer._prepare_inputs(next(iter(trainer.get_train_dataloader())))
    assert batch["old_per_token_logps"].shape == batch["completion_ids"].shape
    assert torch.equal(batch["old_per_token_logps"], batch["sampling_per_token_logps"])
    assert (batch["old_per_token_logps"] < 0).any()
