"""RL on two processes, and RL on a task that has only a generator and a grader."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens, train_tokenizer
from steiner.recipe import ProblemsRecipe, Recipe, RlRecipe
from steiner.rl import grpo
from steiner.tasks import generate_problems
from steiner.types import Split
from tests.processes import run_in_processes
from tests.small_model import small_qwen2
from tests.toy_task import TOY_TASK

RECIPE = Recipe(
    name="distributed",
    problems=ProblemsRecipe({"countdown": 1}),
    rl=RlRecipe(
        steps=3,
        problems_per_step=4,
        rollouts_per_problem=2,
        rollouts_per_batch=2,
        oversample=1.0,
        lr=1e-3,
        warmup_fraction=0.0,
        max_steps=2,
        max_tokens=60,
        precision="fp32",
        attention="sdpa",
        report_to="none",
        save_every_steps=1000,
    ),
)


def save_sft_model(folder: Path, texts: list[str]) -> None:
    tokenizer = train_tokenizer(texts, 420)
    add_reasoning_tokens(tokenizer)
    torch.manual_seed(0)
    small_qwen2(len(tokenizer), max_position_embeddings=1024).save_pretrained(folder)
    Vocabulary.require(tokenizer).tokenizer.save_pretrained(folder)


def _log_of(run_dir: Path) -> list[dict[str, float]]:
    state = (run_dir / "rl" / "logs" / "trainer_state.json").read_text()
    return [entry for entry in json.loads(state)["log_history"] if "reward" in entry]


def _train_apart(run_dir: Path, num_processes: int) -> list[dict[str, float]]:
    """The log of RL in processes of their own, over gloo."""
    run_in_processes(__file__, run_dir, num_processes)
    return _log_of(run_dir)


def test_two_processes_have_the_losses_and_rewards_of_one(tmp_path: Path) -> None:
    """Each process samples every second group of the same draw, and gradients are averaged."""
    problems = generate_problems("countdown", 1, seed=9, split=Split.TRAIN)
    texts = [next(problems).question for _ in range(4)]
    for name in ("one", "two"):
        save_sft_model(tmp_path / name / "sft", texts)
    one, two = _train_apart(tmp_path / "one", 1), _train_apart(tmp_path / "two", 2)
    assert len(one) == len(two) == 3
    for first, second in zip(one, two, strict=True):
        assert second["reward"] == pytest.approx(first["reward"], abs=1e-4)
        assert second["loss"] == pytest.approx(first["loss"], abs=2e-4)
        assert second["grad_norm"] == pytest.approx(first["grad_norm"], rel=0.02)


@pytest.mark.usefixtures("toy_task")
def test_task_without_dags_trains_with_outcome_reward(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = generate_problems(TOY_TASK.name, 1, seed=9, split=Split.TRAIN)
    save_sft_model(tmp_path / "sft", [next(problems).question for _ in range(4)])
    recipe = replace(
        RECIPE, problems=ProblemsRecipe({TOY_TASK.name: 1}), rl=replace(RECIPE.rl, steps=1)
    )
    grpo.train(recipe, tmp_path, tmp_path / "rl")
    assert f"outcome reward only for {TOY_TASK.name}" in capsys.readouterr().err
    (entry,) = _log_of(tmp_path)
    assert entry["step_reward"] == 0
    assert f"accuracy/{TOY_TASK.name}" in entry


if __name__ == "__main__":  # one process of the distributed test
    folder = Path(sys.argv[1])
    grpo.train(RECIPE, folder, folder / "rl")
