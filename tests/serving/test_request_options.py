"""Options of a request: thinking switches, budgets, log-probabilities, roles and defaults."""

from __future__ import annotations

import math

import pytest

from steiner.inference.questions import EFFORT_STEPS

QUESTION = "Make 24 from 3, 5, 7, 9."


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
def test_without_thinking_there_is_one_step(served, fields):
    assert len(_steps(served.chat(max_steps=None, max_tokens=2000, **fields))) == 1


def test_every_effort_limits_the_steps(served):
    for effort, most in EFFORT_STEPS.items():
        fields = {"max_steps": None, "max_tokens": 4000, "reasoning_effort": effort}
        assert len(_steps(served.chat(**fields))) <= most
    assert served.chat(reasoning_effort="max").status_code == 200


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
