"""Options of a request: thinking switches, budgets, log-probabilities, roles and defaults."""

from __future__ import annotations

import math
from typing import get_args

import pytest

from steiner.inference.budget import shortest_reasoning
from steiner.inference.efforts import EFFORT_STEPS
from steiner.serving.schemas import Effort

QUESTION = "Make 24 from 3, 5, 7, 9."
NONE, HIGH = {"reasoning_effort": "none"}, {"reasoning_effort": "high"}


def _steps(response):
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]["reasoning_steps"]


@pytest.mark.parametrize(
    "fields",
    [
        {"enable_thinking": False},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"chat_template_kwargs": {"thinking": False}},
        {"reasoning_effort": "none"},
    ],
)
def test_without_thinking_there_is_one_empty_step(served, fields):
    answer = served.chat(max_steps=None, max_tokens=2000, **fields)
    assert len(_steps(answer)) == 1
    details = answer.json()["usage"]["completion_tokens_details"]
    assert details["reasoning_tokens"] == shortest_reasoning()


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"max_steps": 32, **NONE}, ("reasoning_effort", "max_steps")),
        ({"max_steps": 32, "enable_thinking": False}, ("enable_thinking", "max_steps")),
        (
            {"max_steps": 32, "chat_template_kwargs": {"thinking": False}},
            ("chat_template_kwargs.thinking", "max_steps"),
        ),
        (
            {"max_steps": None, "min_steps": 3, "enable_thinking": False},
            ("enable_thinking", "min_steps"),
        ),
        (
            {"max_steps": None, "min_steps": 5, "reasoning_effort": "low"},
            ("reasoning_effort", "min_steps"),
        ),
        ({"enable_thinking": True, **NONE}, ("reasoning_effort", "enable_thinking")),
        ({"enable_thinking": False, **HIGH}, ("enable_thinking", "reasoning_effort")),
        (
            {"enable_thinking": True, "chat_template_kwargs": {"enable_thinking": False}},
            ("chat_template_kwargs.enable_thinking", "enable_thinking"),
        ),
        (
            {"max_tokens": 500, "max_completion_tokens": 40},
            ("max_tokens", "max_completion_tokens"),
        ),
        ({"stream_options": {"include_usage": True}}, ("stream_options", "stream")),
    ],
)
def test_contradicting_fields_are_both_named(served, fields, names):
    refused = served.chat(**fields)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["param"] == names[0]
    assert all(name in error["message"] for name in names)


def test_fields_that_agree_may_be_given_together(served):
    both = {"max_tokens": 240, "max_completion_tokens": 240}
    off = {"enable_thinking": False, "reasoning_effort": "none", "max_steps": 1}
    assert len(_steps(served.chat(**both, **off))) == 1
    on = {"enable_thinking": True, "reasoning_effort": "low", "max_steps": 6, "min_steps": 6}
    assert len(_steps(served.chat(**both | {"max_tokens": None, **on}, top_p=1.0))) <= 6


def test_the_schema_knows_the_efforts():
    assert list(get_args(Effort)) == list(EFFORT_STEPS)


def test_every_effort_limits_the_steps(served):
    for effort, most in EFFORT_STEPS.items():
        fields = {"max_steps": None, "max_tokens": 4000, "reasoning_effort": effort}
        steps = _steps(served.chat(**fields))
        assert steps if most is None else len(steps) <= most


def test_thinking_token_budget_bounds_the_reasoning(served):
    for budget in (0, 30, 80):
        answer = served.chat(min_steps=0, max_steps=None, thinking_token_budget=budget).json()
        details = answer["usage"]["completion_tokens_details"]
        assert details["reasoning_tokens"] <= max(budget, 12)


def test_model_is_optional_and_named_in_the_answer(served):
    answer = served.chat(model=None).json()
    assert answer["model"] == "steiner"


def test_results_of_tools_are_read_as_the_users_words(served):
    turns = [
        {"role": "user", "content": "Which numbers?"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]},
    ]
    tool = {"role": "tool", "tool_call_id": "1", "content": QUESTION}
    user = {"role": "user", "content": QUESTION}
    answers = [served.chat(messages=[*turns, last]).json() for last in (tool, user)]
    assert answers[0]["choices"] == answers[1]["choices"]


def test_logprobs_of_the_answers_tokens(served):
    choice = served.chat(logprobs=True, top_logprobs=3, temperature=0).json()["choices"][0]
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens).strip() == choice["message"]["content"]
    for token in tokens:
        assert 1 <= len(token["top_logprobs"]) <= 3
        best = token["top_logprobs"][0]
        assert (best["token"], best["bytes"]) == (token["token"], token["bytes"])
        assert math.isclose(best["logprob"], token["logprob"], abs_tol=1e-4)
        assert token["logprob"] <= 0


def test_logprobs_only_on_request(served):
    assert served.chat().json()["choices"][0]["logprobs"] is None
    without = served.chat(logprobs=True).json()["choices"][0]["logprobs"]["content"]
    assert all(token["top_logprobs"] == [] for token in without)
    refused = served.chat(top_logprobs=3)
    assert refused.json()["error"]["param"] == "top_logprobs"


def test_logprobs_stop_at_a_stop_text(served):
    drawn = {"temperature": 1.0, "seed": 2, "logprobs": True}
    content = served.chat(**drawn).json()["choices"][0]["message"]["content"]
    choice = served.chat(**drawn, stop=content[5:8]).json()["choices"][0]
    tokens = "".join(token["token"] for token in choice["logprobs"]["content"])
    assert tokens.strip() == choice["message"]["content"]


def test_streamed_logprobs_come_with_the_finish_reason(client):
    fields = {
        "model": "steiner",
        "messages": [{"role": "user", "content": QUESTION}],
        "max_completion_tokens": 240,
        "logprobs": True,
        "top_logprobs": 2,
        "extra_body": {"max_steps": 3},
    }
    whole = client.chat.completions.create(**fields).choices[0].logprobs
    chunks = list(client.chat.completions.create(**fields, stream=True))
    (last,) = [chunk.choices[0] for chunk in chunks if chunk.choices[0].logprobs]
    assert last.finish_reason
    streamed = last.logprobs.content
    assert [token.token for token in streamed] == [token.token for token in whole.content]
    for one, other in zip(streamed, whole.content, strict=True):
        assert math.isclose(one.logprob, other.logprob, abs_tol=1e-3)


def test_logprobs_of_a_response(client):
    fields = {
        "model": "steiner",
        "input": QUESTION,
        "max_output_tokens": 240,
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 2,
        "extra_body": {"max_steps": 3},
    }
    whole = client.responses.create(**fields)
    tokens = whole.output[-1].content[0].logprobs
    assert "".join(token.token for token in tokens).strip() == whole.output_text
    *_, last = client.responses.create(**fields, stream=True)
    assert last.response.output[-1].content[0].logprobs == tokens
