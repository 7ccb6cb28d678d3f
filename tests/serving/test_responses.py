"""The Responses API, asked by OpenAI's own client."""

from __future__ import annotations

import openai
import pytest

from steiner.serving.settings import Settings

QUESTION = "Make 24 from 3, 5, 7, 9."
LIMITS = {"max_output_tokens": 240, "extra_body": {"max_steps": 3}}


def _create(client, **fields):
    return client.responses.create(**({"model": "steiner", "input": QUESTION} | LIMITS | fields))


def _dump(items):
    """Items without what differs between two responses."""
    return [item.model_dump(exclude={"id", "parsed"}, exclude_none=True) for item in items]


def test_whole_response_says_what_the_chat_says(client, served):
    response = _create(client)
    chat = served.chat(QUESTION).json()
    message = chat["choices"][0]["message"]
    reasoning, answer = response.output
    assert (reasoning.type, answer.type) == ("reasoning", "message")
    assert response.output_text == message["content"]
    assert reasoning.content[0].text == message["reasoning"]
    assert reasoning.model_extra["reasoning_steps"] == message["reasoning_steps"]
    summaries = [step["summary"] for step in message["reasoning_steps"]]
    assert [part.text for part in reasoning.summary] == summaries
    assert response.status == ("completed" if _finished(chat) else "incomplete")
    assert response.usage.output_tokens == chat["usage"]["completion_tokens"]
    details = chat["usage"]["completion_tokens_details"]
    assert response.usage.output_tokens_details.reasoning_tokens == details["reasoning_tokens"]


def _finished(chat):
    return chat["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("fields", [{}, {"temperature": 1.0, "seed": 3}])
def test_stream_adds_up_to_the_whole(client, fields):
    extra = LIMITS["extra_body"] | {"seed": fields.get("seed", 0)}
    given = {"temperature": fields.get("temperature", 0.0), "extra_body": extra}
    whole = _create(client, **given)
    events = list(_create(client, stream=True, **given))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:3]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
    ]
    last = events[-1]
    assert last.type == f"response.{whole.status}"
    assert _dump(last.response.output) == _dump(whole.output)
    assert last.response.usage == whole.usage
    said = {"response.output_text.delta": "", "response.reasoning_text.delta": ""}
    for event in events:
        if event.type in said:
            said[event.type] += event.delta
    assert list(said.values()) == [whole.output_text, whole.output[0].content[0].text]


def test_each_step_comes_with_its_summary(client):
    events = list(_create(client, stream=True))
    ended = [event for event in events if event.type == "response.reasoning_summary_part.done"]
    steps = [event.model_extra["reasoning_step"] for event in ended]
    assert steps == events[-1].response.output[0].model_extra["reasoning_steps"]
    assert [event.part.text for event in ended] == [step["summary"] for step in steps]
    assert [event.summary_index for event in ended] == list(range(len(steps)))


def test_openai_client_puts_the_stream_together(client):
    fields = {"model": "steiner", "input": QUESTION} | LIMITS
    with client.responses.stream(**fields) as stream:
        *_, last = stream
    whole = _create(client)
    assert last.response.output_text == whole.output_text
    assert _dump(last.response.output) == _dump(whole.output)


def test_several_choices_are_several_pairs_of_items(client):
    extra = LIMITS["extra_body"] | {"n": 2, "seed": 1}
    whole = _create(client, extra_body=extra)
    assert [item.type for item in whole.output] == ["reasoning", "message"] * 2
    streamed = list(_create(client, extra_body=extra, stream=True))[-1].response
    assert sorted(map(str, _dump(streamed.output))) == sorted(map(str, _dump(whole.output)))


def test_reasoning_cut_short_has_no_message(serve, endless):
    with serve(Settings(time_limit_s=0.5)) as running, running.client() as client:
        steps = {name: endless[name] for name in ("min_steps", "max_steps")}
        response = _create(client, max_output_tokens=4000, extra_body=steps)
    assert [item.type for item in response.output] == ["reasoning"]
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.incomplete_details.model_extra["detail"] == "time_limit"


def test_dialogue_instructions_and_effort(client, served):
    earlier = _create(client)
    turns = [
        {"role": "user", "content": [{"type": "input_text", "text": QUESTION}]},
        *(item.model_dump(exclude_none=True) for item in earlier.output),
        {"role": "user", "content": "And another way?"},
    ]
    response = _create(client, input=turns, instructions="Be brief.", reasoning={"effort": "low"})
    same = served.chat(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": earlier.output_text},
            {"role": "user", "content": "And another way?"},
        ]
    ).json()
    assert response.output_text == same["choices"][0]["message"]["content"]
    assert response.instructions == "Be brief."
    assert response.reasoning.effort == "low"


def test_a_response_repeats_the_tools_of_its_request(client):
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}
    given = {"tools": [tool], "tool_choice": "none", "parallel_tool_calls": True}
    for response in (
        _create(client, **given),
        list(_create(client, stream=True, **given))[-1].response,
    ):
        assert [sent.model_dump(exclude_none=True) for sent in response.tools] == [tool]
        assert (response.tool_choice, response.parallel_tool_calls) == ("none", True)
    plain = _create(client)
    assert (plain.tools, plain.tool_choice) == ([], "auto")


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "resp_1"},
        {"background": True},
        {"input": []},
        {"input": [{"type": "function_call", "name": "f"}]},
        {"input": [{"type": "reasoning", "summary": [], "id": "rs_1"}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
        {"reasoning": {"effort": "enormous"}},
    ],
)
def test_what_cannot_be_honoured_is_refused(client, fields):
    with pytest.raises(openai.BadRequestError):
        _create(client, **fields)
