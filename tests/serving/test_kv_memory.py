"""A server with little memory for its KV cache answers every client."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from steiner.serving.service import Service
from steiner.serving.settings import Settings
from steiner.types import UserError

TOKEN_BYTES = 2 * 2 * 2 * 8 * 4
"""2 layers, keys and values, 2 heads of 8 numbers, 4 bytes each."""
MEMORY = 400 * TOKEN_BYTES * 5 // 4
"""400 tokens; one of the four tensors exists twice while the cache grows."""


@pytest.fixture(scope="module")
def small(serve):
    with serve(Settings(kv_memory=MEMORY)) as running:
        yield running


def _metric(served, name):
    text = httpx.get(f"{served.url}/metrics").text
    return float(re.search(rf"^{name} (\S+)$", text, re.M)[1])


def test_many_clients_get_the_answers_of_a_server_without_a_limit(small, served):
    fields = [
        {"text": "Make 24. " * (1 + i % 3), "seed": i, "max_tokens": 120 + 10 * i, "min_steps": 2}
        for i in range(16)
    ]
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda each: small.chat(**each), fields))
        expected = list(threads.map(lambda each: served.chat(**each), fields))
    assert [answer.status_code for answer in answers] == [200] * 16
    assert [a.json()["choices"] for a in answers] == [e.json()["choices"] for e in expected]
    assert _metric(small, "steiner_preemptions_total") > 0
    assert 0 < _metric(small, "steiner_kv_cache_bytes") <= MEMORY
    assert _metric(small, "steiner_kv_cache_limit_bytes") == MEMORY
    small.wait_until_idle()
    assert _metric(small, "steiner_running") == _metric(small, "steiner_waiting") == 0


def test_a_stream_has_each_token_once_although_it_is_preempted(small, served):
    fields = {"min_steps": 3, "max_tokens": 250}

    def text_of(server, seed):
        with server.stream(seed=seed, **fields) as response:
            found = re.findall(r'"reasoning":"((?:[^"\\]|\\.)*)"', "".join(response.iter_lines()))
        return "".join(found)

    before = _metric(small, "steiner_preemptions_total")
    with ThreadPoolExecutor(6) as threads:
        streamed = list(threads.map(lambda seed: text_of(small, seed), range(6)))
    assert _metric(small, "steiner_preemptions_total") > before
    assert streamed == [text_of(served, seed) for seed in range(6)]
    assert all(streamed)


def test_the_limit_of_a_dialogue_is_what_the_cache_holds(small):
    assert small.service.max_length == 400
    (model,) = httpx.get(f"{small.url}/v1/models").json()["data"]
    assert model["max_model_len"] == 400
    assert small.chat(max_tokens=None).status_code == 200
    refused = small.chat("x" * 500)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["code"] == "context_length_exceeded"
    assert "the server's KV cache holds 400 tokens" in error["message"]


def test_the_limit_is_said_in_words(small, served):
    assert small.service.cache_limit == (
        "KV cache: at most 128 KB, which holds a dialogue of 400 tokens"
    )
    assert re.fullmatch(r"KV cache: at most [\d.]+ [MG]B", served.service.cache_limit)


def test_memory_for_no_dialogue_is_refused(model_folder):
    with pytest.raises(UserError, match="holds 9 tokens of this model") as raised:
        Service.load(str(model_folder), Settings(kv_memory=3000))
    assert "--kv-memory" in raised.value.hint
