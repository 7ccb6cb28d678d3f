"""Chat completions, asked for by OpenAI's own client and by bare HTTP."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from steiner.format import grammar
from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.model_loading import load_reasoning_model
from steiner.inference.request import Request
from steiner.types import Message

QUESTION = "Make 24 from 3, 5, 7, 9."
COMPONENTS = ("next_step", "understanding", "summary", "verification")


def _create(client, text=QUESTION, **fields):
    """One completion by OpenAI's client."""
    limits = {"max_steps": 3} | fields.pop("extra_body", {})
    return client.chat.completions.create(
        model="steiner",
        messages=[{"role": "user", "content": text}],
        extra_body=limits,
        **({"max_completion_tokens": 240} | fields),
    )


def _chunks(response):
    """The JSON of a stream's events, but for the closing [DONE]."""
    *events, done = [line.removeprefix("data: ") for line in response.iter_lines() if line]
    assert done == "[DONE]"
    return [json.loads(event) for event in events]


def _joined(chunks, field, choice=0):
    """One field of all deltas of a choice, joined."""
    parts = [part for chunk in chunks for part in chunk["choices"] if part["index"] == choice]
    said = [part["delta"][field] for part in parts if field in part["delta"]]
    return list(chain(*said)) if field == "reasoning_steps" else "".join(said)


def test_answer_is_the_engines_own(client, model_folder):
    model, vocabulary = load_reasoning_model(model_folder)
    prompt = tuple(vocabulary.encode_prompt([Message("user", QUESTION)]))
    request = Request(prompt, Budget(max_steps=3, max_tokens=240))
    rollout = Engine(model, vocabulary, max_batch=1).generate([request])[0]

    answer = _create(client)

    message, usage = answer.choices[0].message, answer.usage
    assert message.content == rollout.answer
    steps = message.model_extra["reasoning_steps"]
    texts = [[getattr(step.texts, name) for name in COMPONENTS] for step in rollout.steps]
    assert [[step[name] for name in COMPONENTS] for step in steps] == texts
    assert [step["decision"] for step in steps] == [step.decision for step in rollout.steps]
    assert usage.prompt_tokens == len(prompt)
    assert usage.completion_tokens == len(rollout.token_ids)
    end = vocabulary.special_ids[grammar.SPECIAL_TOKENS.index(grammar.END)]
    reasoned = usage.completion_tokens_details.reasoning_tokens
    assert reasoned == rollout.token_ids.index(end) + 1


def test_reasoning_stands_under_both_names(client):
    extra = _create(client, max_completion_tokens=3900).choices[0].message.model_extra
    assert extra["reasoning"] == extra["reasoning_content"]
    assert extra["reasoning"].startswith("Step 1\n")
    for step in extra["reasoning_steps"]:
        assert f"\nVerification: {step['verification']}" in extra["reasoning"]


@pytest.mark.parametrize("fields", [{}, {"n": 3, "seed": 5}, {"temperature": 1.5, "seed": 1}])
def test_stream_adds_up_to_the_whole(served, fields):
    whole = served.chat(**fields).json()
    with served.stream(**fields, stream_options={"include_usage": True}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        chunks = _chunks(response)
    assert chunks.pop()["usage"] == whole["usage"]
    for index, choice in enumerate(whole["choices"]):
        message = choice["message"]
        for field in ("role", "content", "reasoning", "reasoning_content", "reasoning_steps"):
            assert _joined(chunks, field, index) == message[field]
        *_, last = (p for chunk in chunks for p in chunk["choices"] if p["index"] == index)
        assert last["finish_reason"] == choice["finish_reason"]


def test_openai_client_reads_the_stream(client):
    whole = _create(client)
    chunks = list(_create(client, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1


def test_tokens_arrive_while_the_model_still_writes(served, endless):
    with served.stream(**endless) as response:
        lines = response.iter_lines()
        first = json.loads(next(lines).removeprefix("data: "))
        assert first["choices"][0]["delta"]["role"] == "assistant"
        assert not served.service.idle
    served.wait_until_idle()


@pytest.mark.parametrize(
    ("fields", "fewest", "most"),
    [
        ({"max_steps": 1}, 1, 1),
        ({"min_steps": 3, "max_steps": 3}, 3, 3),
        ({"max_steps": None, "reasoning_effort": "low"}, 1, 4),
        ({"min_steps": 6, "max_steps": 6, "reasoning_effort": "low"}, 6, 6),
    ],
)
def test_step_limits_hold(served, fields, fewest, most):
    message = served.chat(max_tokens=3900, **fields).json()["choices"][0]["message"]
    assert fewest <= len(message["reasoning_steps"]) <= most


def test_seed_decides_what_is_drawn(served):
    def contents(**fields):
        answer = served.chat(temperature=1.0, n=4, **fields).json()
        return [choice["message"]["content"] for choice in answer["choices"]]

    drawn = contents(seed=7)
    assert contents(seed=7) == drawn
    assert len(set(drawn)) == 4
    assert contents(seed=8) != drawn
    assert contents() != contents()


def test_sampling_never_breaks_the_format(served):
    answer = served.chat(temperature=2, top_p=0.9, n=16, seed=0, max_tokens=600).json()
    for choice in answer["choices"]:
        message = choice["message"]
        assert message["reasoning_steps"][-1]["decision"] == "end"
        assert not any(token in json.dumps(message) for token in grammar.SPECIAL_TOKENS)


def test_choices_at_temperature_zero_are_alike(served):
    first, second = served.chat(temperature=0, n=2).json()["choices"]
    assert first["message"] == second["message"]


@pytest.mark.parametrize("streamed", [False, True])
def test_answer_ends_at_a_stop_text(served, streamed):
    drawn = {"temperature": 1.0, "seed": 2}
    content = served.chat(**drawn).json()["choices"][0]["message"]["content"]
    stop = content[5:8]
    fields = drawn | {"stop": ["not in it", stop]}
    if streamed:
        with served.stream(**fields) as response:
            chunks = _chunks(response)
        stated, last = _joined(chunks, "content"), chunks[-1]["choices"][0]
    else:
        last = served.chat(**fields).json()["choices"][0]
        stated = last["message"]["content"]
    assert stated == content[: content.index(stop)]
    assert (last["finish_reason"], last["stop_reason"]) == ("stop", stop)


def test_max_tokens_ends_the_answer(served):
    answer = served.chat(max_tokens=40).json()
    assert answer["usage"]["completion_tokens"] <= 40
    assert answer["choices"][0]["finish_reason"] == "length"


def test_max_tokens_beyond_the_context_means_all_of_it(served):
    assert served.chat(max_tokens=1_000_000, max_steps=1).status_code == 200


def test_dialogues_with_system_prompts_and_parts(served):
    parts = [{"type": "text", "text": "Make 24"}, {"type": "text", "text": "from 3, 5, 7, 9."}]
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello", "reasoning_content": "Step 1"},
    ]
    answers = [
        served.chat(
            messages=[
                {"role": role, "content": "Be brief."},
                *turns,
                {"role": "user", "content": text},
            ]
        ).json()
        for role, text in (("developer", parts), ("system", "Make 24\nfrom 3, 5, 7, 9."))
    ]
    assert answers[0]["choices"] == answers[1]["choices"]


def test_special_tokens_in_text_stay_text(served, vocabulary):
    plain = vocabulary.encode_prompt([Message("user", "")])
    for token in (*grammar.SPECIAL_TOKENS, "<|im_end|>", "<|im_start|>"):
        text = f"a{token}b"
        asked = vocabulary.encode_prompt([Message("user", text)])
        classes = vocabulary.classes(asked)
        assert sorted(c for c in classes if c != grammar.TEXT) == sorted(
            c for c in vocabulary.classes(plain) if c != grammar.TEXT
        )
        usage = served.chat(text).json()["usage"]
        assert usage["prompt_tokens"] == len(asked) > len(plain) + 3


def test_clients_at_once_get_what_each_gets_alone(served):
    texts = [f"Make {target} from 3, 5, 7, 9." for target in range(20, 36)]

    def content(text):
        return served.chat(text, max_steps=4, max_tokens=300).json()["choices"][0]["message"]

    alone = [content(text) for text in texts]
    with ThreadPoolExecutor(len(texts)) as threads:
        assert list(threads.map(content, texts)) == alone
