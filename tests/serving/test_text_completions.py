"""POST /v1/completions, used by OpenAI's own client."""

from __future__ import annotations

import httpx
import pytest

QUESTIONS = ["Make 24 from 3, 5, 7, 9.", "Make 12 from 3, 5, 7, 9."]
LIMITS = {"max_tokens": 240, "extra_body": {"max_steps": 3}}


def _create(client, **fields):
    return client.completions.create(
        **({"model": "steiner", "prompt": QUESTIONS[0]} | LIMITS | fields)
    )


def test_the_text_is_the_answer_of_a_chat(client, served):
    answer = _create(client)
    chat = served.chat(QUESTIONS[0]).json()
    message = chat["choices"][0]["message"]
    choice = answer.choices[0]
    assert choice.text == message["content"]
    assert choice.model_extra["reasoning"] == message["reasoning"]
    assert choice.finish_reason == chat["choices"][0]["finish_reason"]
    assert answer.usage.total_tokens == chat["usage"]["total_tokens"]


def test_each_prompt_has_n_choices(client):
    drawn = {"n": 2, "seed": 4, "temperature": 1.0}
    both = _create(client, prompt=QUESTIONS, **drawn)
    alone = [_create(client, prompt=question, **drawn) for question in QUESTIONS]
    assert [choice.index for choice in both.choices] == [0, 1, 2, 3]
    texts = [choice.text for answer in alone for choice in answer.choices]
    assert [choice.text for choice in both.choices] == texts
    assert both.usage.prompt_tokens == sum(answer.usage.prompt_tokens for answer in alone)


def test_the_stream_adds_up_to_the_whole(client):
    whole = _create(client, logprobs=2)
    options = {"include_usage": True}
    *chunks, last = _create(client, logprobs=2, stream=True, stream_options=options)
    choices = [chunk.choices[0] for chunk in chunks]
    assert "".join(choice.text for choice in choices) == whole.choices[0].text
    reasoning = "".join(choice.model_extra["reasoning"] for choice in choices)
    assert reasoning == whole.choices[0].model_extra["reasoning"]
    assert choices[-1].finish_reason == whole.choices[0].finish_reason
    assert choices[-1].logprobs == whole.choices[0].logprobs
    assert last.usage == whole.usage


def test_logprobs_have_one_entry_per_token(client):
    logprobs = _create(client, logprobs=2).choices[0].logprobs
    length = len(logprobs.tokens)
    assert length == len(logprobs.token_logprobs) == len(logprobs.top_logprobs)
    starts = [len("".join(logprobs.tokens[:index])) for index in range(length)]
    assert logprobs.text_offset == starts


@pytest.mark.parametrize("prompt", [[1, 2, 3], [[1, 2]], [], ""])
def test_prompts_must_be_text(served, prompt):
    body = {"prompt": prompt, "max_tokens": 40}
    refused = httpx.post(f"{served.url}/v1/completions", json=body)
    assert refused.status_code == 400
    assert "text" in refused.json()["error"]["message"] or not prompt
