"""The two rollout backends agree: tokens, log-probabilities, forced tokens, stop reasons."""

from __future__ import annotations

import pytest
from transformers import PreTrainedModel

from steiner.format.tokenizer import Vocabulary
from steiner.inference.backends import EngineBackend, RolloutBackend, TransformersBackend
from steiner.inference.budget import Budget
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.types import Rollout, StopReason

BUDGETS = (
    Budget(max_tokens=40),
    Budget(min_steps=2, max_steps=3, max_tokens=120),
    Budget(max_tokens=100, max_reasoning_tokens=30),
)
TEXTS = ("take two", "fill them from the tap", "a")


@pytest.fixture(params=["qwen2", "neox"])
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    loaded: PreTrainedModel = request.getfixturevalue(request.param)
    return loaded


def _requests(vocabulary: Vocabulary, temperature: float) -> list[Request]:
    return [
        Request(
            tuple(vocabulary.encode_text(text)),
            budget,
            Sampling(temperature, seed=index),
            reasoning=index != 1,
            num_top_logprobs=index,
        )
        for index, (text, budget) in enumerate(zip(TEXTS, BUDGETS, strict=True))
    ]


def _both(
    model: PreTrainedModel, vocabulary: Vocabulary, temperature: float
) -> list[tuple[Rollout, Rollout]]:
    backends: list[RolloutBackend] = [
        EngineBackend(model, vocabulary, max_batch=2),
        TransformersBackend(model, vocabulary),
    ]
    engine, transformers = (
        backend.generate(_requests(vocabulary, temperature)) for backend in backends
    )
    return list(zip(engine, transformers, strict=True))


@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_backends_write_the_same_tokens(
    vocabulary: Vocabulary, model: PreTrainedModel, temperature: float
) -> None:
    for one, other in _both(model, vocabulary, temperature):
        assert one.token_ids == other.token_ids
        assert one.forced == other.forced
        assert (one.stop_reason, one.steps, one.answer) == (
            other.stop_reason,
            other.steps,
            other.answer,
        )
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_progress_counts_the_finished_requests(
    vocabulary: Vocabulary, model: PreTrainedModel
) -> None:
    counts: list[int] = []
    TransformersBackend(model, vocabulary).generate(_requests(vocabulary, 0.0), counts.append)
    assert counts == [1, 2, 3]


def test_top_logprobs_hold_the_likeliest_tokens(
    vocabulary: Vocabulary, model: PreTrainedModel
) -> None:
    for request, (one, other) in zip(
        _requests(vocabulary, 0.0), _both(model, vocabulary, 0.0), strict=True
    ):
        if not request.num_top_logprobs:
            assert one.top_logprobs == other.top_logprobs == ()
            continue
        assert len(one.top_logprobs) == len(one.token_ids)
        for token, logprob, top, same in zip(
            one.token_ids, one.logprobs, one.top_logprobs, other.top_logprobs, strict=True
        ):
            assert 1 <= len(top) <= request.num_top_logprobs
            assert top[0] == (token, pytest.approx(logprob, abs=1e-4))  # greedy takes the first
            assert [p for _, p in top] == sorted((p for _, p in top), reverse=True)
            assert [p for _, p in top] == pytest.approx([p for _, p in same], abs=1e-4)


def test_reasoning_stays_within_its_tokens(vocabulary: Vocabulary, model: PreTrainedModel) -> None:
    budget = Budget(max_tokens=200, max_reasoning_tokens=25)
    request = Request(tuple(vocabulary.encode_text("take")), budget, Sampling(1.0, seed=3))
    for backend in (EngineBackend(model, vocabulary), TransformersBackend(model, vocabulary)):
        (rollout,) = backend.generate([request])
        assert rollout.answer_span is not None
        assert rollout.answer_span[0] <= 25  # the answer begins where the reasoning ends
        assert rollout.stop_reason in (StopReason.END, StopReason.LENGTH)
