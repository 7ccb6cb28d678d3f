"""OpenAI's own client, used as its documentation shows: both APIs, streamed or not, and async."""

from __future__ import annotations

import asyncio

import openai
import pytest

QUESTION = "Make 24 from 3, 5, 7, 9."
STEPS = {"min_steps": 3, "max_steps": 3}
CHAT = {
    "model": "steiner",
    "messages": [{"role": "user", "content": QUESTION}],
    "max_completion_tokens": 600,
    "extra_body": STEPS,
}
RESPONSE = {
    "model": "steiner",
    "input": QUESTION,
    "max_output_tokens": 600,
    "extra_body": STEPS,
}
WITH_USAGE = {"stream_options": {"include_usage": True}}


@pytest.fixture(scope="module")
def chat(client):
    """The completion that the streams are compared with."""
    return client.chat.completions.create(**CHAT)


@pytest.fixture(scope="module")
def response(client):
    """The same question's response."""
    return client.responses.create(**RESPONSE)


def _extra(message):
    """The fields that OpenAI's API does not have."""
    fields = ("reasoning", "reasoning_content", "reasoning_steps")
    return {name: message.model_extra[name] for name in fields}


def test_chat_helper_adds_up_a_stream(client, chat):
    # The helper raises where the token limit ended the answer, so a stop text ends it.
    drawn = CHAT | {"temperature": 1.0, "seed": 2}
    content = client.chat.completions.create(**drawn).choices[0].message.content
    wishes = drawn | {"stop": content[5:8]}
    whole = client.chat.completions.create(**wishes).choices[0]
    with client.chat.completions.stream(**wishes, **WITH_USAGE) as stream:
        contents = [event.delta for event in stream if event.type == "content.delta"]
        stated = stream.get_final_completion()
    message = stated.choices[0].message
    assert message.content == "".join(contents) == whole.message.content == content[:5].rstrip()
    assert _extra(message) == _extra(whole.message)
    assert [step["index"] for step in message.model_extra["reasoning_steps"]] == [0, 1, 2]
    assert stated.choices[0].finish_reason == whole.finish_reason == "stop"
    assert stated.usage.prompt_tokens == chat.usage.prompt_tokens


def test_reasoning_is_streamed_before_the_answer(client, chat):
    chunks = list(client.chat.completions.create(**CHAT, stream=True))
    deltas = [chunk.choices[0].delta for chunk in chunks]
    reasoning = [delta.model_extra.get("reasoning_content", "") for delta in deltas]
    assert "".join(reasoning) == chat.choices[0].message.model_extra["reasoning_content"]
    last_thought = max(place for place, text in enumerate(reasoning) if text)
    first_word = min(place for place, delta in enumerate(deltas) if delta.content)
    assert last_thought <= first_word


def test_usage_is_streamed_only_when_asked_for(client, chat):
    unasked = client.chat.completions.create(**CHAT, stream=True)
    assert not any(chunk.usage for chunk in unasked)
    *others, last = client.chat.completions.create(**CHAT, stream=True, **WITH_USAGE)
    assert not any(chunk.usage for chunk in others)
    assert (last.choices, last.usage) == ([], chat.usage)


def test_both_apis_count_the_same_tokens(chat, response):
    usage, twin = chat.usage, response.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    reasoning = usage.completion_tokens_details.reasoning_tokens
    assert 0 < reasoning < usage.completion_tokens
    assert twin.input_tokens == usage.prompt_tokens
    assert twin.output_tokens == usage.completion_tokens
    assert twin.output_tokens_details.reasoning_tokens == reasoning
    assert twin.total_tokens == usage.total_tokens


def test_streamed_response_counts_as_the_whole_one(client, response):
    *_, last = client.responses.create(**RESPONSE, stream=True)
    assert last.response.usage == response.usage
    assert last.response.output_text == response.output_text


def test_effort_is_the_same_wish_in_both_apis(client):
    chat = client.chat.completions.create(
        **CHAT | {"extra_body": {}, "reasoning_effort": "low", "max_completion_tokens": 1200}
    )
    response = client.responses.create(
        **RESPONSE | {"extra_body": {}, "reasoning": {"effort": "low"}, "max_output_tokens": 1200}
    )
    message = chat.choices[0].message
    assert 1 <= len(message.model_extra["reasoning_steps"]) <= 4
    assert response.output_text == message.content


def test_an_answer_goes_back_as_the_client_gave_it(client, chat, response):
    """The objects themselves, with all that stands in them, as a dialogue's earlier turns."""
    again = {"role": "user", "content": "And another way?"}
    turns = [*CHAT["messages"], chat.choices[0].message, again]
    continued = client.chat.completions.create(**CHAT | {"messages": turns})
    items = [*CHAT["messages"], *response.output, again]
    twin = client.responses.create(**RESPONSE | {"input": items})
    assert continued.choices[0].message.content == twin.output_text
    assert continued.usage.prompt_tokens > chat.usage.total_tokens - _reasoning(chat)


def _reasoning(chat):
    return chat.usage.completion_tokens_details.reasoning_tokens


def test_async_client_streams_side_by_side(served, chat, response):
    async def chat_text(client):
        stream = await client.chat.completions.create(**CHAT, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

    async def response_text(client):
        stream = await client.responses.create(**RESPONSE, stream=True)
        deltas = [event async for event in stream if event.type == "response.output_text.delta"]
        return "".join(event.delta for event in deltas)

    async def texts():
        address = {"base_url": f"{served.url}/v1", "api_key": "none", "max_retries": 0}
        async with openai.AsyncOpenAI(**address) as client:
            return await asyncio.gather(*[f(client) for f in (chat_text, response_text) * 3])

    content = chat.choices[0].message.content
    assert asyncio.run(texts()) == [content, response.output_text] * 3


def test_a_stream_closed_early_gives_its_place_back(client, served, endless):
    wishes = {"extra_body": endless | {"max_tokens": 4000}, "max_completion_tokens": 4000}
    with client.chat.completions.create(**CHAT | wishes, stream=True) as stream:
        next(iter(stream))
    served.wait_until_idle()
