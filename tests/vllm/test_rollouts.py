"""vLLM as a rollout backend: budgets, log-probabilities, new weights, and RL that runs on it.

All tests share one server, whose weights change; each begins by setting those it needs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from steiner.format.tokenizer import Vocabulary
from steiner.inference.backends import RolloutBackend, TransformersBackend
from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.inference.vllm_backend import VllmBackend
from steiner.models.logits import logits_of
from steiner.pipeline.rollouts import write_model_rollouts
from steiner.recipe import ProblemsRecipe, Recipe, RlRecipe
from steiner.rl import grpo
from steiner.rl.policy_logprobs import GrammarPolicy
from steiner.rl.rollout_file import read_rollouts
from steiner.rl.rollout_mismatch import MAX, MEAN
from steiner.rl.weight_sync import write_weights
from steiner.types import Message, Rollout, StopReason
from tests.conftest import QUESTION

pytestmark = pytest.mark.vllm

LOGPROB_BOUND = 1e-3
"""Largest difference between vLLM's log-probabilities and the trainer's, both in float32."""
BUDGETS = (
    Budget(max_steps=2, max_tokens=120),
    Budget(min_steps=2, max_steps=3, max_tokens=300),
    Budget(max_tokens=60),
    Budget(max_tokens=200, max_reasoning_tokens=40),
)


@pytest.fixture(scope="module")
def model(model_dir: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(model_dir).eval()


@pytest.fixture(scope="module")
def vocabulary(model_dir: Path) -> Vocabulary:
    return Vocabulary.require(AutoTokenizer.from_pretrained(model_dir))


@pytest.fixture
def backend(
    url: str, model: PreTrainedModel, vocabulary: Vocabulary, tmp_path: Path
) -> VllmBackend:
    made = VllmBackend(url, vocabulary)
    write_weights(model, tmp_path / "weights")
    made.load_weights(tmp_path / "weights")
    return made


def requests_of(
    vocabulary: Vocabulary, temperature: float, count: int = 3, **changes: Any
) -> list[Request]:
    prompt = tuple(vocabulary.encode_prompt([Message("user", QUESTION)]))
    return [
        Request(prompt, budget, Sampling(temperature, seed=100 + seed), **changes)
        for budget in BUDGETS
        for seed in range(count)
    ]


def test_greedy_rollouts_are_those_of_the_other_backends(
    backend: VllmBackend, model: PreTrainedModel, vocabulary: Vocabulary
) -> None:
    requests = requests_of(vocabulary, 0.0, count=1, num_top_logprobs=3)
    requests.append(replace(requests[0], reasoning=False))
    counts: list[int] = []
    others: list[RolloutBackend] = [
        Engine(model, vocabulary, max_length=1024),
        TransformersBackend(model, vocabulary),
    ]
    found = backend.generate(requests, counts.append)
    assert counts == [1, 2, 3, 4, 5]
    for other in others:
        for one, same in zip(found, other.generate(requests), strict=True):
            assert without_logprobs(one) == without_logprobs(same)
            assert one.logprobs == pytest.approx(same.logprobs, abs=LOGPROB_BOUND)
            for tops, others_ in zip(one.top_logprobs, same.top_logprobs, strict=True):
                assert [p for _, p in tops] == pytest.approx(
                    [p for _, p in others_], abs=LOGPROB_BOUND
                )


def without_logprobs(rollout: Rollout) -> Rollout:
    return replace(rollout, logprobs=(), top_logprobs=())


def test_sampled_rollouts_respect_their_budgets(
    backend: VllmBackend, vocabulary: Vocabulary
) -> None:
    requests = requests_of(vocabulary, 1.5)
    rollouts = backend.generate(requests)
    for request, rollout in zip(requests, rollouts, strict=True):
        budget = request.budget
        assert rollout.stop_reason in (StopReason.END, StopReason.LENGTH)
        assert rollout.well_formed
        assert rollout.prompt_ids == request.prompt_ids
        assert len(rollout.token_ids) <= budget.max_tokens
        assert len(rollout.steps) <= (budget.max_steps or 1000)
        if rollout.stop_reason is StopReason.END:  # max_tokens comes before min_steps
            assert len(rollout.steps) >= budget.min_steps
        if budget.max_reasoning_tokens:
            assert rollout.answer_span is not None
            assert rollout.answer_span[0] <= budget.max_reasoning_tokens
        assert rollout.forced[:3] == (True, True, True)
        assert len(rollout.forced) == len(rollout.logprobs) == len(rollout.token_ids)
    assert len({rollout.token_ids for rollout in rollouts}) > 6
    assert {rollout.stop_reason for rollout in rollouts} == {StopReason.END, StopReason.LENGTH}


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_of_chosen_tokens_are_the_trainers(
    temperature: float, backend: VllmBackend, model: PreTrainedModel, vocabulary: Vocabulary
) -> None:
    """Without min_steps, which RL does not set: the trainer knows the grammar, not the budget."""
    requests = [one for one in requests_of(vocabulary, temperature) if one.budget.min_steps == 0]
    rollouts = backend.generate(requests)
    differences = differences_to_trainer(rollouts, model, vocabulary, temperature)
    assert len(differences) > 200
    assert max(differences) < LOGPROB_BOUND


@torch.no_grad()
def differences_to_trainer(
    rollouts: Sequence[Rollout], model: PreTrainedModel, vocabulary: Vocabulary, temperature: float
) -> list[float]:
    head: Any = model.get_output_embeddings()
    policy = GrammarPolicy(vocabulary, head.weight.shape[0])
    found: list[float] = []
    for rollout in rollouts:
        ids_1T = torch.tensor([[*rollout.prompt_ids, *rollout.token_ids]])
        count = len(rollout.token_ids)
        hidden: Any = model.get_decoder()(input_ids=ids_1T).last_hidden_state[:, -count - 1 : -1]
        of_model = partial(logits_of, model)
        logprob_1T, _ = policy.logprobs(of_model, hidden, ids_1T[:, -count:], temperature)
        found += [
            abs(one - other)
            for one, other, forced in zip(
                logprob_1T[0].tolist(), rollout.logprobs, rollout.forced, strict=True
            )
            if not forced
        ]
    return found


def test_new_weights_change_the_rollouts_to_those_of_the_new_model(
    backend: VllmBackend, model: PreTrainedModel, vocabulary: Vocabulary, tmp_path: Path
) -> None:
    requests = requests_of(vocabulary, 0.0, count=1)
    before = backend.generate(requests)
    other = AutoModelForCausalLM.from_pretrained(model.config._name_or_path)
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in other.parameters():
            weight += 0.05 * torch.randn_like(weight)
    write_weights(other, tmp_path / "new")
    backend.load_weights(tmp_path / "new")
    after = backend.generate(requests)
    expected = Engine(other, vocabulary, max_length=1024).generate(requests)
    assert [one.token_ids for one in before] != [one.token_ids for one in after]
    assert [one.token_ids for one in after] == [one.token_ids for one in expected]


def recipe_of(url: str, **changes: Any) -> Recipe:
    rl = RlRecipe(
        steps=2,
        problems_per_step=2,
        rollouts_per_problem=2,
        rollouts_per_batch=2,
        lr=1e-2,
        warmup_fraction=0.0,
        max_steps=3,
        max_tokens=150,
        precision="fp32",
        report_to="none",
        rollouts="vllm",
        vllm_url=url,
    )
    return Recipe("vllm", problems=ProblemsRecipe({"countdown": 1}), rl=replace(rl, **changes))


def log_of(folder: Path) -> list[dict[str, float]]:
    state = json.loads((folder / "logs" / "trainer_state.json").read_text())
    return [entry for entry in state["log_history"] if "reward" in entry]


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_two_steps_of_rl_log_the_mismatch(
    lora_rank: int, url: str, model_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "sft").symlink_to(model_dir)
    grpo.train(recipe_of(url, lora_rank=lora_rank), tmp_path, tmp_path / "rl")
    log = log_of(tmp_path / "rl")
    assert [entry["step"] for entry in log] == [1, 2]
    for entry in log:
        assert 0 < entry[MEAN] <= entry[MAX] < LOGPROB_BOUND, entry
    before = AutoModelForCausalLM.from_pretrained(model_dir).state_dict()
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "rl").state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert not (tmp_path / "rl" / "vllm_weights").exists()


def test_stale_weights_show_in_the_mismatch(url: str, model_dir: Path, tmp_path: Path) -> None:
    """The second step's rollouts come from the weights before the first."""
    (tmp_path / "sft").symlink_to(model_dir)
    grpo.train(recipe_of(url, sync_every=2), tmp_path, tmp_path / "rl")
    first, second = log_of(tmp_path / "rl")
    assert first[MAX] < LOGPROB_BOUND < 10 * LOGPROB_BOUND < second[MAX]


def test_rollouts_of_the_server_are_exported(url: str, model_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "rollouts.parquet"
    said = write_model_rollouts(recipe_of(url), model_dir, out, 2)
    rollouts = read_rollouts(out)
    assert said.startswith(f"{out}: 4 rollouts of 2 problems")
    assert len(rollouts) == 4
    assert all(len(one.response_ids) == len(one.advantages) for one in rollouts)
