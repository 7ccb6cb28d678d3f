"""The real executable on a real port, and what it says of itself."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from steiner.serving.server import listen
from tests.lora_training import train_lora

STEINER = Path(sys.executable).with_name("steiner")
HI = {"model": "steiner", "messages": [{"role": "user", "content": "Hi"}]}


def _start(model_folder, *options):
    command = [STEINER, "serve", "--model", str(model_folder), "--port", "0", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


@contextmanager
def _serving(model_folder, *options):
    """The process and its address."""
    with _start(model_folder, *options) as process:
        try:
            said = process.stdout.readline()
            yield process, re.search(r"http://[\d.]+:\d+", said)[0]
        finally:
            process.kill()


def test_sigterm_finishes_what_runs_and_refuses_the_rest(model_folder, endless):
    with _serving(model_folder) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        fields = HI | endless | {"stream": True, "max_tokens": 1500}
        chat = f"{url}/v1/chat/completions"
        with httpx.stream("POST", chat, json=fields, timeout=60) as response:
            lines = response.iter_lines()
            next(lines)
            process.send_signal(signal.SIGTERM)
            while (ready := httpx.get(f"{url}/readyz")).status_code == 200:
                time.sleep(0.01)
            assert ready.status_code == 503
            assert httpx.post(chat, json=HI).status_code == 503
            assert [line for line in lines if line][-1] == "data: [DONE]"
        assert process.wait(timeout=20) == 0
        assert process.stderr.read() == ""


def test_an_adapter_is_served(model_folder, tmp_path):
    """As the merged model; the texts are greedy, so one other token would show."""
    merged = train_lora(model_folder, tmp_path / "sft")
    fields = HI | {"temperature": 0, "max_tokens": 240, "max_steps": 3}
    texts = []
    for folder in (merged / "adapter", merged):
        with _serving(folder) as (_, url):
            answer = httpx.post(f"{url}/v1/chat/completions", json=fields, timeout=60).json()
        texts.append(answer["choices"][0]["message"])
    assert texts[0] == texts[1]
    assert texts[0]["reasoning_content"]


def test_second_signal_ends_it_at_once(model_folder, endless):
    with _serving(model_folder) as (process, url):
        chat, fields = f"{url}/v1/chat/completions", HI | endless | {"stream": True}
        with httpx.stream("POST", chat, json=fields, timeout=60) as response:
            lines = response.iter_lines()
            next(lines)
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 0


def test_idle_server_stops_at_once(model_folder):
    with _serving(model_folder) as (process, url):
        assert httpx.get(f"{url}/readyz").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=5) == 0


def test_a_port_in_use_and_a_folder_without_model(model_folder, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for folder, options, said in (
            (model_folder, ("--port", port), f"on 127.0.0.1 port {port}: Address already in use\n"),
            (tmp_path, (), "cannot load a model from"),
            (model_folder, ("--max-batch", "0"), "max_batch is 0"),
            (model_folder, ("--kv-memory", "2KB"), "a KV cache of 2 KB holds 6 tokens"),
        ):
            with _start(folder, *options) as process:
                stated = process.stderr.read()
            assert process.returncode == 2
            assert stated.startswith("error: ")
            assert said in stated
            assert "hint: " in stated


def test_answers_do_not_wait_for_acknowledgements():
    with (
        listen("127.0.0.1", 0) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as connection,
    ):
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_open_to_the_network_without_a_key_is_warned_about(model_folder):
    with _serving(model_folder, "--host", "0.0.0.0") as (process, _):
        assert "warning: everyone who can reach this port" in process.stderr.readline()


def test_models_and_page(client, served):
    (model,) = client.models.list().data
    assert (model.id, model.object) == ("steiner", "model")
    assert client.models.retrieve("steiner") == model
    page = httpx.get(served.url)
    assert page.headers["content-type"].startswith("text/html")
    assert "Steiner" in page.text
    assert "//" not in re.sub(r"^\s*//.*$|http://www\.w3\.org", "", page.text, flags=re.M)


def test_metrics_count(served):
    def value(line):
        text = httpx.get(f"{served.url}/metrics").text
        found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.M)
        return float(found[1]) if found else 0.0

    answered = 'steiner_requests_total{path="/v1/chat/completions",status="200"}'
    written = 'steiner_tokens_total{kind="completion"}'
    before = value(answered), value(written)
    usage = served.chat().json()["usage"]
    assert value(answered) == before[0] + 1
    assert value(written) == before[1] + usage["completion_tokens"]
    assert value("steiner_running") == value("steiner_waiting") == 0


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/models"])
def test_schema_describes_the_api(served, path):
    schema = httpx.get(f"{served.url}/openapi.json").json()
    (operation,) = schema["paths"][path].values()
    assert {"200", "400", "401", "413", "429", "503"} <= set(operation["responses"])


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_schema_describes_whole_answers_and_streams(served, path):
    schema = httpx.get(f"{served.url}/openapi.json").json()
    content = schema["paths"][path]["post"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/event-stream"}
    name = content["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
    assert "usage" in schema["components"]["schemas"][name]["properties"]
