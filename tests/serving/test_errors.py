"""Whatever is sent, the answer is in OpenAI's shape, and never the server's fault."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import httpx
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import TemplateError

from steiner.serving import errors

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
GOOD = {"model": "steiner", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 40}
JSON = {"content-type": "application/json"}


def _post(served, content, path=CHAT, headers=JSON):
    return httpx.post(f"{served.url}{path}", content=content, headers=headers, timeout=60)


def _error(response):
    """The error of an answer that is one."""
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return error


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b"\xff\xfe",
        b"\x00" * 100,
        b"[" * 100_000,
        b'{"model": "steiner", "messages": ' + b"[" * 50_000,
        b'{"model": "steiner", "seed": ' + b"9" * 5000 + b"}",
        b'{"model": "steiner", "temperature": NaN, "input": "Hi", "messages": []}',
        b'{"\\ud800": 1, "model": "\\ud800", "input": "\\ud800", "messages": []}',
        json.dumps(GOOD | {"input": "Hi", "temperature": "hot"}).encode(),
    ],
)
def test_malformed_bodies(served, path, content):
    response = _post(served, content, path)
    assert response.status_code == 400
    _error(response)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages"),
        ({"messages": [{"role": "critic", "content": "Hi"}]}, "messages.0.role"),
        ({"messages": [{"role": "<|im_end|>", "content": "Hi"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, None),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, None),
        ({"messages": [{"role": "assistant", "content": "Hi"}]}, None),
        ({"messages": [{"role": "user", "content": "  "}]}, None),
        ({"temperature": 3}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"max_tokens": 3}, None),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_steps": 0}, "max_steps"),
        ({"min_steps": 5, "max_steps": 4}, None),
        ({"min_steps": 5, "reasoning_effort": "low"}, None),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"stop": [""]}, None),
        ({"stop": list("abcde")}, None),
        ({"seed": 2**63}, "seed"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": 1}, "stream_options"),
    ],
)
def test_wrong_fields_are_named(served, fields, param):
    response = _post(served, json.dumps(GOOD | fields))
    assert response.status_code == 400
    stated = _error(response)["param"]
    assert param is None or stated == param


def test_nulls_are_as_good_as_nothing(served):
    fields = ("temperature", "top_p", "seed", "n", "stop", "stream", "max_completion_tokens")
    fields += ("min_steps", "max_steps", "reasoning_effort", "stream_options")
    assert _post(served, json.dumps(GOOD | dict.fromkeys(fields))).status_code == 200


def test_dialogue_beyond_the_context_is_refused(served):
    for size in (5_000, 500_000):
        content = [{"role": "user", "content": "x" * size}]
        response = _post(served, json.dumps(GOOD | {"messages": content}))
        assert response.status_code == 400
        assert _error(response)["code"] == "context_length_exceeded"


def test_other_models_are_not_found(client, served):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**GOOD | {"model": "gpt-9"})
    assert caught.value.code == "model_not_found"
    assert _error(httpx.get(f"{served.url}/v1/models/gpt-9"))["param"] == "model"


def test_other_paths_and_methods(served):
    message = _error(httpx.get(f"{served.url}/v1/embeddings"))["message"]
    assert message.startswith("no path /v1/embeddings; the API has ")
    assert CHAT in message
    assert RESPONSES in message
    assert "/page/" not in message
    assert httpx.get(f"{served.url}/nowhere").status_code == 404
    refused = httpx.get(f"{served.url}{CHAT}")
    assert refused.status_code == 405
    assert refused.headers["allow"] == "POST"
    assert _error(refused)["message"] == f"{CHAT} does not take GET; it takes POST"
    assert httpx.get(f"{served.url}/page/..%2f..%2fcli.py").status_code == 404


def test_the_document_lists_every_error():
    text = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| (\d{3}(?:, \d{3})*) \|", text, re.M)
    listed = {int(status) for cell in cells for status in cell.split(", ")}
    assert listed == {*errors.RESPONSES, 405}


def test_other_content_types_are_refused_with_the_header_to_send(served):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/xml"):
        refused = _post(served, json.dumps(GOOD), headers={"content-type": kind})
        assert refused.status_code == 415, kind
        assert "'Content-Type: application/json'" in _error(refused)["message"]


def test_a_dialogue_that_the_chat_template_refuses_is_an_error_of_messages(served, monkeypatch):
    def refuse(*_, **__):
        raise TemplateError("Roles must alternate")

    kind = type(served.service.vocabulary.chat.tokenizer)
    monkeypatch.setattr(kind, "apply_chat_template", refuse)
    refused = _post(served, json.dumps(GOOD))
    assert refused.status_code == 400
    error = _error(refused)
    assert error["param"] == "messages"
    assert "refuses this dialogue: Roles must alternate" in error["message"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), path=st.sampled_from([CHAT, RESPONSES]))
def test_damaged_bodies(served, seed, path):
    """A good body with some of its bytes changed, left out or doubled."""
    rng = random.Random(seed)
    body = bytearray(json.dumps(GOOD | {"input": "Hi", "max_output_tokens": 40}), "utf-8")
    for _ in range(rng.randrange(1, 6)):
        place = rng.randrange(len(body))
        body[place : place + 1] = rng.choice((b"", bytes([rng.randrange(256)]), b"{", b'"'))
    response = _post(served, bytes(body), path)
    assert response.status_code in (200, 400, 404)
    if response.status_code != 200:
        _error(response)
