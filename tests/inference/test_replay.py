"""The replay of finished completions finds what the engine noted while it wrote them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from transformers import PreTrainedModel

from steiner.format.tokenizer import Vocabulary
from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.replay import replay
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.types import StopReason

BUDGETS = (
    Budget(max_tokens=40),
    Budget(min_steps=2, max_steps=3, max_tokens=120),
    Budget(max_tokens=100, max_reasoning_tokens=30),
    Budget(max_steps=1, max_tokens=400),
)


@pytest.fixture(scope="module")
def requests(vocabulary: Vocabulary) -> list[Request]:
    prompt = tuple(vocabulary.encode_text("take two"))
    return [
        Request(prompt, budget, Sampling(1.0, seed=seed), reasoning=seed != 2)
        for budget in BUDGETS
        for seed in range(4)
    ]


def test_forced_tokens_and_cuts_are_the_engines(
    vocabulary: Vocabulary, qwen2: PreTrainedModel, requests: list[Request]
) -> None:
    rollouts = Engine(qwen2, vocabulary).generate(requests)
    replays = replay(vocabulary, requests, [rollout.token_ids for rollout in rollouts])
    for rollout, replayed in zip(rollouts, replays, strict=True):
        assert replayed.forced == rollout.forced
        assert replayed.num_allowed == len(rollout.token_ids)
        assert replayed.cut[-1] == (rollout.stop_reason is StopReason.LENGTH)
    assert {rollout.stop_reason for rollout in rollouts} == {StopReason.END, StopReason.LENGTH}


def test_forbidden_tokens_are_found(
    vocabulary: Vocabulary, qwen2: PreTrainedModel, requests: list[Request]
) -> None:
    (rollout,) = Engine(qwen2, vocabulary).generate(requests[:1])
    ids = rollout.token_ids
    broken = [
        (0, (vocabulary.close_id, *ids[1:])),  # not the opening
        (5, (*ids[:5], vocabulary.pad_id, *ids[6:])),  # never allowed
        (len(ids), (*ids, ids[5])),  # behind the end
        (2, ids[:2]),  # cut in the opening
    ]
    for num_allowed, written in broken:
        (replayed,) = replay(vocabulary, requests[:1], [written])
        assert replayed.num_allowed == num_allowed


def test_a_budget_that_is_exceeded_is_found(
    vocabulary: Vocabulary, qwen2: PreTrainedModel, requests: list[Request]
) -> None:
    one = replace(requests[4], budget=Budget(min_steps=2, max_tokens=400))
    (rollout,) = Engine(qwen2, vocabulary).generate([one])
    assert len(rollout.spans) > 1
    strict = replace(one, budget=Budget(max_steps=1, max_tokens=400))
    (replayed,) = replay(vocabulary, [strict], [rollout.token_ids])
    assert replayed.num_allowed == rollout.spans[0].stop - 1  # the decision for a second step
