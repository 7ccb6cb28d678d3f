"""Faults of a vLLM server: each is retried or reported in one clear line."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedModel

from steiner.format.tokenizer import Vocabulary
from steiner.inference import vllm_client
from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.inference.vllm_backend import VllmBackend
from steiner.types import Rollout, RunError, StopReason, UserError
from tests.inference.scripted_vllm import Script, scripted_vllm


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_client, "FIRST_PAUSE_S", 0.0)


@pytest.fixture(scope="module")
def request_(vocabulary: Vocabulary) -> Request:
    prompt = tuple(vocabulary.encode_text("take two"))
    return Request(prompt, Budget(max_steps=2, max_tokens=90), Sampling(1.0, seed=2**47))


@pytest.fixture(scope="module")
def rollout(vocabulary: Vocabulary, qwen2: PreTrainedModel, request_: Request) -> Rollout:
    (made,) = Engine(qwen2, vocabulary).generate([request_])
    return made


@contextmanager
def serving(
    vocabulary: Vocabulary, rollout: Rollout, **behaviour: Any
) -> Iterator[tuple[str, Script]]:
    script = Script(vocabulary, rollout, **behaviour)
    with scripted_vllm(script) as url:
        yield url, script


def test_a_completion_becomes_the_engines_rollout(
    vocabulary: Vocabulary, rollout: Rollout, request_: Request
) -> None:
    with serving(vocabulary, rollout) as (url, script):
        (found,) = VllmBackend(f"{url}/v1/", vocabulary).generate([request_])
    assert found == rollout
    sent = script.bodies[-1]
    assert sent["prompt"] == list(request_.prompt_ids)
    assert sent["vllm_xargs"] == {"min_steps": 0, "max_steps": 2}
    assert (sent["seed"], sent["temperature"], sent["max_tokens"]) == (2**47, 1.0, 90)
    assert (sent["top_k"], sent["repetition_penalty"]) == (0, 1.0)  # not the model folder's


@pytest.mark.parametrize("fault", ["500", "503", "cut", "abort"])
def test_faults_are_tried_again(
    fault: str, vocabulary: Vocabulary, rollout: Rollout, request_: Request
) -> None:
    with serving(vocabulary, rollout, num_faults=4, fault=fault) as (url, script):
        rollouts = VllmBackend(url, vocabulary).generate([request_, request_])
    assert rollouts == [rollout, rollout]
    assert script.asked["/v1/completions"] == 6


@pytest.mark.parametrize(
    ("fault", "said"),
    [("500", "status 500: scripted error"), ("cut", "RemoteProtocolError"), ("abort", "aborted")],
)
def test_a_server_that_keeps_failing_ends_the_run(
    fault: str, said: str, vocabulary: Vocabulary, rollout: Rollout, request_: Request
) -> None:
    with (
        serving(vocabulary, rollout, num_faults=1000, fault=fault) as (url, _),
        pytest.raises(RunError, match=f"failed 5 times: .*{said}") as caught,
    ):
        VllmBackend(url, vocabulary).generate([request_] * 3)
    assert "continues where it stopped" in caught.value.hint


def test_a_server_that_is_not_there(vocabulary: Vocabulary) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(UserError, match=f"cannot reach vLLM at http://127.0.0.1:{port}: Connect"):
        VllmBackend(f"http://127.0.0.1:{port}", vocabulary)
    with pytest.raises(UserError, match="URL is 'localhost'"):
        VllmBackend("localhost", vocabulary)


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ({"/v1/models": (200, {"data": []})}, "is not vLLM"),
        ({"/v1/models": (200, {"data": [{"id": "llama.cpp"}]})}, "is not vLLM"),
        ({"/v1/models": (404, {"detail": "Not Found"})}, "404 for /v1/models: Not Found"),
        ({"/tokenize": (200, {"tokens": [1, 2]})}, "'served' at .* has another vocabulary"),
    ],
)
def test_another_server_or_model(
    replies: dict[str, Any], said: str, vocabulary: Vocabulary, rollout: Rollout
) -> None:
    with (
        serving(vocabulary, rollout, replies=replies) as (url, _),
        pytest.raises(UserError, match=said),
    ):
        VllmBackend(url, vocabulary)


@pytest.mark.parametrize(
    ("choice", "said", "hint"),
    [
        ({"token_ids": [5, 6]}, "does not keep to the format", "--logits-processors"),
        ({"token_ids": [10**6]}, "does not keep to the format", "--logits-processors"),
        ({"token_ids": None}, "returns no token ids", "0.32 or newer"),
        ({"logprobs": None}, "returns no token ids with log-probabilities", "0.32 or newer"),
    ],
)
def test_a_server_without_our_options(
    choice: dict[str, Any],
    said: str,
    hint: str,
    vocabulary: Vocabulary,
    rollout: Rollout,
    request_: Request,
) -> None:
    with (
        serving(vocabulary, rollout, choice=choice) as (url, _),
        pytest.raises(UserError, match=said) as caught,
    ):
        VllmBackend(url, vocabulary).generate([request_])
    assert hint in caught.value.hint


def test_logprobs_of_all_tokens_are_refused(
    vocabulary: Vocabulary, rollout: Rollout, request_: Request
) -> None:
    raw = {"token_logprobs": [-0.5] * len(rollout.token_ids)}
    with (
        serving(vocabulary, rollout, choice={"logprobs": raw}) as (url, _),
        pytest.raises(UserError, match="without the mask") as caught,
    ):
        VllmBackend(url, vocabulary).generate([request_])
    assert caught.value.hint == "start it with --logprobs-mode processed_logprobs"


def test_requests_that_cannot_be(
    vocabulary: Vocabulary, rollout: Rollout, request_: Request
) -> None:
    long = replace(request_, budget=Budget(max_tokens=1024))
    with serving(vocabulary, rollout, num_faults=9, fault="400") as (url, script):
        backend = VllmBackend(url, vocabulary)
        with pytest.raises(UserError, match="exceed the 1024 of"):
            backend.generate([long])
        assert not script.asked["/v1/completions"]
        with pytest.raises(UserError, match="refuses a request, status 400: scripted error"):
            backend.generate([request_])
        assert script.asked["/v1/completions"] == 1


def test_a_rollout_that_repeats_itself_ends_there(
    vocabulary: Vocabulary, rollout: Rollout, request_: Request
) -> None:
    """The server writes on; the engine would have stopped."""
    text = vocabulary.encode_text("take")[:1] * 300
    ids = [*rollout.token_ids[:3], *text]
    choice = {"token_ids": ids, "logprobs": {"token_logprobs": [0.0] * 3 + [-0.1] * len(text)}}
    one = replace(request_, budget=Budget(max_tokens=900))
    with serving(vocabulary, rollout, choice=choice) as (url, _):
        (found,) = VllmBackend(url, vocabulary).generate([one])
    assert found.stop_reason is StopReason.REPETITION
    assert found.token_ids == tuple(ids[:208])  # the first multiple of 16 that ends in 192 copies
    assert found.answer == ""


def test_new_weights(vocabulary: Vocabulary, rollout: Rollout) -> None:
    with serving(vocabulary, rollout) as (url, script):
        VllmBackend(url, vocabulary).load_weights(Path("/shared/weights"))
    assert {"method": "reload_weights", "kwargs": {"weights_path": "/shared/weights"}} in (
        script.bodies
    )
    assert script.asked["/reset_prefix_cache"] == 1


@pytest.mark.parametrize(
    ("replies", "error", "said", "hint"),
    [
        (
            {"/collective_rpc": (404, {"detail": "Not Found"})},
            UserError,
            "takes no new weights",
            "VLLM_SERVER_DEV_MODE=1",
        ),
        (
            {"/collective_rpc": (500, {"error": {"message": "no such folder"}})},
            UserError,
            "500 for /collective_rpc: no such folder",
            "under the same path",
        ),
        (
            {"/reset_prefix_cache": (200, {"success": False})},
            RunError,
            "does not clear its prefix cache",
            "a server of its own",
        ),
    ],
)
def test_weights_that_cannot_be_sent(
    replies: dict[str, Any],
    error: type[Exception],
    said: str,
    hint: str,
    vocabulary: Vocabulary,
    rollout: Rollout,
) -> None:
    with (
        serving(vocabulary, rollout, replies=replies) as (url, _),
        pytest.raises(error, match=said) as caught,
    ):
        VllmBackend(url, vocabulary).load_weights(Path("/weights"))
    assert hint in getattr(caught.value, "hint", "")
