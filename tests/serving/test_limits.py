"""Places, queues, time, keys: what a server gives its clients, and takes back from them."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import pytest

from steiner.serving.settings import Settings


@pytest.fixture(scope="module")
def narrow(serve):
    """A server for one completion at a time, and one that waits."""
    with serve(Settings(max_batch=1, max_waiting=1)) as running:
        yield running


def test_place_of_a_stream_that_is_left_is_free(narrow, endless):
    for _ in range(3):
        with narrow.stream(**endless) as response:
            next(response.iter_lines())
        narrow.wait_until_idle()
    assert narrow.chat().status_code == 200


def test_place_of_a_client_that_does_not_wait_is_free(narrow, endless):
    url = f"{narrow.url}/v1/chat/completions"
    fields = {"model": "steiner", "messages": [{"role": "user", "content": "Hi"}]} | endless
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(url, json=fields, timeout=0.3)
    narrow.wait_until_idle()


def test_a_client_that_waits_and_leaves_is_forgotten(narrow, endless):
    with narrow.stream(**endless) as running:
        lines = running.iter_lines()
        next(lines)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{narrow.url}/v1/chat/completions",
                json={"model": "steiner", "messages": [{"role": "user", "content": "Hi"}]},
                timeout=0.3,
            )
        while narrow.service.num_jobs != 1:
            next(lines)
    narrow.wait_until_idle()


def test_full_queue_is_429_and_a_time_to_come_back(narrow, endless):
    with narrow.stream(**endless) as running, ThreadPoolExecutor(1) as threads:
        lines = running.iter_lines()
        next(lines)
        waiting = threads.submit(narrow.chat)
        while narrow.service.num_jobs < 2:
            time.sleep(0.01)
        refused = narrow.chat()
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        with narrow.client() as client, pytest.raises(openai.RateLimitError):
            client.responses.create(model="steiner", input="Hi")
        running.close()
        assert waiting.result().status_code == 200
    narrow.wait_until_idle()


def test_more_choices_than_places_can_never_be_served(narrow):
    refused = narrow.chat(n=3)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "n"


def test_requests_join_the_running_batch(serve, endless):
    with serve(Settings(max_batch=2)) as running, running.stream(**endless) as first:
        lines = first.iter_lines()
        next(lines)
        assert running.chat().status_code == 200
        assert not running.service.idle


def test_time_limit_ends_with_what_is_written(serve, endless):
    with serve(Settings(time_limit_s=0.5)) as running:
        whole = running.chat(**endless).json()["choices"][0]
        with running.stream(**endless) as response:
            lines = [line for line in response.iter_lines() if line]
        running.wait_until_idle()
    assert (whole["finish_reason"], whole["stop_reason"]) == ("length", "time_limit")
    assert whole["message"]["reasoning"]
    assert '"finish_reason":"length","stop_reason":"time_limit"' in lines[-2]


def test_body_limit(serve):
    with serve(Settings(max_body_bytes=2000)) as running:
        assert running.chat("x" * 500).status_code == 200
        for size in (2000, 100_000, 5_000_000):
            refused = running.chat("x" * size)
            assert refused.status_code == 413
            assert refused.json()["error"]["type"] == "invalid_request_error"
        assert _chunked(running.url, b"x" * 100_000) == 413


def _chunked(url, body):
    """The status of a body sent in chunks, without a length."""
    pieces = (body[start : start + 1000] for start in range(0, len(body), 1000))
    headers = {"Content-Type": "application/json"}
    endpoint = f"{url}/v1/chat/completions"
    return httpx.post(endpoint, content=pieces, headers=headers).status_code


def test_body_that_never_comes_is_given_up(serve):
    with serve(Settings(body_timeout_s=0.3)) as running:
        host, port = running.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(
                b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"Content-Length: 10\r\n\r\n{"
            )
            assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_api_key(serve):
    with serve(Settings(api_key="sésame")) as running:
        for key in ("x", "sesame", "sésamé"):
            refused = httpx.get(f"{running.url}/v1/models", headers=_bearer(key))
            assert refused.status_code == 401
            assert refused.json()["error"]["code"] == "invalid_api_key"
        assert httpx.get(f"{running.url}/v1/models").status_code == 401
        assert running.chat().status_code == 401
        with running.client("wrong") as client, pytest.raises(openai.AuthenticationError):
            client.models.list()
        for path in ("/", "/healthz", "/readyz", "/metrics"):
            assert httpx.get(f"{running.url}{path}").status_code == 200
        right = httpx.get(f"{running.url}/v1/models", headers=_bearer("sésame"))
        assert right.status_code == 200


def _bearer(key):
    return {"Authorization": f"Bearer {key}".encode()}


def test_closed_doors_let_what_runs_end(serve, endless):
    fields = endless | {"max_tokens": 1000}
    with serve(Settings()) as running, running.stream(**fields) as response:
        lines = response.iter_lines()
        next(lines)
        running.service.close()
        refused = running.chat()
        assert refused.status_code == 503
        assert "retry-after" in refused.headers
        assert httpx.get(f"{running.url}/readyz").status_code == 503
        assert httpx.get(f"{running.url}/healthz").status_code == 200
        assert [line for line in lines if line][-1] == "data: [DONE]"


def test_failing_engine_is_a_503_and_the_next_request_is_served(serve, monkeypatch):
    with serve(Settings()) as running:
        engine = running.service._engine_thread._engine
        with monkeypatch.context() as broken:
            broken.setattr(engine, "_step", _fail)
            failed = running.chat()
            assert failed.status_code == 503
            assert failed.json()["error"]["code"] == "engine_failed"
            with running.stream() as response:
                *_, last = (line for line in response.iter_lines() if line)
            assert '"engine_failed"' in last
        assert running.chat().status_code == 200
        assert running.service.idle


def _fail():
    raise RuntimeError("out of memory, say")


def test_dead_engine_is_told(serve, monkeypatch):
    with serve(Settings()) as running:
        engine = running.service._engine_thread._engine
        monkeypatch.setattr(engine, "_step", _fail)
        monkeypatch.setattr(engine, "reset", _fail)
        assert running.chat().status_code == 503
        for path in ("/healthz", "/readyz", "/v1/models"):
            assert httpx.get(f"{running.url}{path}").status_code == 503


def test_many_come_and_go(serve):
    """Streams that are left at any moment leave nothing behind."""

    def leave(seconds):
        with running.stream(max_steps=9, max_tokens=2000) as response:
            for _ in zip(range(20), response.iter_lines(), strict=False):
                time.sleep(seconds)

    with serve(Settings(max_batch=4, max_waiting=100)) as running:
        threads = [threading.Thread(target=leave, args=(i % 5 / 100,)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        running.wait_until_idle()
        assert running.service._engine_thread._engine.num_unfinished == 0
