"""Every field of OpenAI's specification is honoured, accepted without effect, or refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import httpx
import pytest
from openai.types import completion_create_params as text_params
from openai.types.chat import ChatCompletionMessage
from openai.types.chat import completion_create_params as chat_params
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseIncludable,
    ResponseOutputMessage,
    ResponseReasoningItem,
)
from openai.types.responses import response_create_params as response_params
from typing_extensions import is_typeddict

from steiner.serving.errors import InvalidRequest
from steiner.serving.field_rules import (
    CHAT_FIELDS,
    ITEM_FIELDS,
    MESSAGE_FIELDS,
    PART_FIELDS,
    RESPONSE_FIELDS,
    TEXT_FIELDS,
    Treatment,
    check_fields,
)
from steiner.serving.schemas import ChatRequest, Includable, ResponseRequest, TextRequest

QUESTION = "Make 24 from 3, 5, 7, 9."
SHORT = {"max_steps": 2}
ENDPOINTS = {
    "/v1/chat/completions": (
        CHAT_FIELDS,
        ChatRequest,
        chat_params.CompletionCreateParamsBase,
        {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 200, **SHORT},
    ),
    "/v1/responses": (
        RESPONSE_FIELDS,
        ResponseRequest,
        response_params.ResponseCreateParamsBase,
        {"input": QUESTION, "max_output_tokens": 200, **SHORT},
    ),
    "/v1/completions": (
        TEXT_FIELDS,
        TextRequest,
        text_params.CompletionCreateParamsBase,
        {"prompt": QUESTION, "max_tokens": 200, **SHORT},
    ),
}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
NO_EFFECT = {
    "user": "me",
    "metadata": {"run": "7"},
    "service_tier": "flex",
    "safety_identifier": "me",
    "prompt_cache_key": "k",
    "prompt_cache_options": {},
    "prompt_cache_retention": "24h",
    "tools": [TOOL],
    "parallel_tool_calls": True,
    "prediction": {"type": "content", "content": "x"},
    "functions": [TOOL["function"]],
    "max_tool_calls": 3,
}
"""Fields that are accepted without effect -> a value that means something elsewhere."""
REPEATED = {"metadata", "tools", "tool_choice", "parallel_tool_calls"}
"""Fields without effect that a response repeats."""
REFUSED = {
    "store": True,
    "logit_bias": {"5": -100},
    "frequency_penalty": 0.5,
    "presence_penalty": 0.5,
    "repetition_penalty": 1.2,
    "top_k": 5,
    "moderation": {"model": "m"},
    "tool_choice": "required",
    "function_call": {"name": "f"},
    "response_format": {"type": "json_object"},
    "verbosity": "high",
    "modalities": ["text", "audio"],
    "audio": {"voice": "v", "format": "wav"},
    "web_search_options": {},
    "previous_response_id": "resp_1",
    "conversation": "conv_1",
    "prompt": {"id": "p"},
    "background": True,
    "background_options": {"x": 1},
    "truncation": "auto",
    "context_management": [{"type": "compaction"}],
    "image": {"x": 1},
    "access_programs": {"x": 1},
    "best_of": 3,
    "echo": True,
    "suffix": "end",
}
"""Fields that are refused -> a value that cannot be honoured."""


def _names(treatment):
    return [
        (path, name)
        for path, (rules, *_) in ENDPOINTS.items()
        for name, rule in rules.items()
        if rule.treatment is treatment
    ]


def _post(served, path, **fields):
    body = ENDPOINTS[path][3] | fields
    return httpx.post(f"{served.url}{path}", json=body, timeout=60)


def _texts(path, answer):
    """The parts of a whole answer that its model wrote."""
    if path == "/v1/responses":
        return [item["content"] for item in answer["output"]]
    return [{k: v for k, v in choice.items() if k != "id"} for choice in answer["choices"]]


@pytest.mark.parametrize("path", ENDPOINTS)
def test_every_field_of_the_specification_has_a_rule(path):
    rules, _, specification, _ = ENDPOINTS[path]
    assert set(specification.__annotations__) <= set(rules)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_honoured_fields_are_those_of_the_schema(path):
    rules, schema, _, _ = ENDPOINTS[path]
    honoured = {name for name, rule in rules.items() if rule.treatment is Treatment.HONOURED}
    assert honoured == set(schema.model_fields) - REPEATED


ITEM_TYPES = {"message", "function_call_output", "function_call", "reasoning"}


def _objects(hint: Any) -> Iterator[Any]:
    """The TypedDicts in a type, such as the alternatives in a list."""
    if is_typeddict(hint):
        yield hint
    elif get_origin(hint) is not Literal:
        for part in get_args(hint):
            yield from _objects(part)


def _is_an_item_of_another_type(hints: dict[str, Any]) -> bool:
    """True for items of tools that the server refuses."""
    return ITEM_TYPES.isdisjoint(get_args(hints.get("type", Literal["message"])))


def _fields_within(hints: dict[str, Any], rules: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Each field of an object in an honoured field, with the rules of that object."""
    for name, rule in rules.items():
        if rule.treatment is not Treatment.HONOURED:
            continue
        for kind in _objects(hints.get(name)):
            inner = get_type_hints(kind)
            if name == "input" and _is_an_item_of_another_type(inner):
                continue
            yield from ((f"{place}{name}.{field}", rule.fields) for field in inner)
            yield from _fields_within(inner, rule.fields, f"{place}{name}.")


@pytest.mark.parametrize("path", ENDPOINTS)
def test_every_field_within_a_field_of_the_specification_has_a_rule(path):
    rules, _, specification, _ = ENDPOINTS[path]
    within = list(_fields_within(get_type_hints(specification), rules, ""))
    assert {
        "/v1/chat/completions": "messages.content.text",
        "/v1/responses": "input.content.text",
        "/v1/completions": "stream_options.include_usage",
    }[path] in dict(within)
    unknown = [field for field, known in within if field.split(".")[-1] not in known]
    assert not unknown


def test_every_field_of_an_answer_may_be_sent_back():
    assert set(ChatCompletionMessage.model_fields) <= set(MESSAGE_FIELDS)
    for item in (ResponseOutputMessage, ResponseReasoningItem, ResponseFunctionToolCall):
        names = {field.alias or name for name, field in item.model_fields.items()}
        assert names <= set(ITEM_FIELDS)
    assert set(get_args(Includable)) == set(get_args(ResponseIncludable))


def test_fields_without_effect_change_nothing(served):
    for path, (rules, *_) in ENDPOINTS.items():
        plain = _post(served, path).json()
        fields = {name: NO_EFFECT[name] for p, name in _names(Treatment.NO_EFFECT) if p == path}
        answer = _post(served, path, **fields)
        assert answer.status_code == 200, answer.text
        assert _texts(path, answer.json()) == _texts(path, plain)
        assert rules


@pytest.mark.parametrize(("path", "name"), _names(Treatment.REFUSED))
def test_refused_fields_are_named(served, path, name):
    refused = _post(served, path, **{name: REFUSED[name]})
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["param"] == name
    assert name in error["message"]


@pytest.mark.parametrize(("path", "name"), _names(Treatment.REFUSED))
def test_refused_fields_may_have_their_neutral_values(path, name):
    rules = ENDPOINTS[path][0]
    for value in (None, *rules[name].allowed):
        check_fields({name: value}, rules)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tool_choice", {"type": "function", "function": {"name": "f"}}),
        ("response_format", {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}),
        ("store", 0),
        ("frequency_penalty", False),
    ],
)
def test_values_that_only_look_neutral_are_refused(name, value):
    with pytest.raises(InvalidRequest) as caught:
        check_fields({name: value}, CHAT_FIELDS)
    assert caught.value.param == name


@pytest.mark.parametrize("path", ENDPOINTS)
def test_unknown_fields_are_refused_with_the_nearest_name(served, path):
    refused = _post(served, path, max_step=3).json()["error"]
    assert refused["param"] == "max_step"
    assert refused["message"] == "unknown field 'max_step'; did you mean 'max_steps'?"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {}}}}, "text.format"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"reasoning": {"effort": "low", "mode": "pro"}}, "reasoning.mode"),
        ({"reasoning": {"efort": "low"}}, "reasoning.efort"),
        ({"include": ["everything"]}, "include"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"chat_template_kwargs": {"tools": []}}, "chat_template_kwargs.tools"),
        ({"stream": True, "stream_options": {"include_usage": True}}, "stream_options.include_u"),
        ({"input": [{"role": "user", "content": "Hi", "contnet": "x"}]}, "input.0.contnet"),
        ({"input": [{"role": "user", "content": [{"image_url": "x"}]}]}, "input.0.content.0.image"),
    ],
)
def test_fields_within_fields_are_refused_by_name(served, fields, param):
    refused = _post(served, "/v1/responses", **fields)
    assert refused.status_code == 400
    assert refused.json()["error"]["param"].startswith(param)


DOCUMENT = Path(__file__).parents[2] / "docs" / "serving.md"


TABLES = {f"`POST {path}`": rules for path, (rules, *_) in ENDPOINTS.items()} | {
    "a message": MESSAGE_FIELDS,
    "an item of a response's input": ITEM_FIELDS,
    "a part of the content": PART_FIELDS,
}
"""Title of a table in the document -> its rules."""


def _rows(rules: Any, place: str = "") -> Iterator[tuple[str, str, str]]:
    """Field, treatment and details; messages, items and parts have tables of their own."""
    for name, rule in rules.items():
        allowed = ", ".join(f"`{json.dumps(value)}`" for value in rule.allowed)
        yield place + name, rule.treatment, rule.note + (f"; allowed: {allowed}" if allowed else "")
        if name not in ("messages", "input", "content", "output"):
            yield from _rows(rule.fields, f"{place}{name}.")


@pytest.mark.parametrize("title", TABLES)
def test_the_document_lists_every_field_with_its_treatment(title):
    text = DOCUMENT.read_text(encoding="utf-8")
    section = text.split(f"### Fields of {title}\n")[1].split("\n#")[0]
    listed = re.findall(r"^\| `([\w.]+)` \| ([a-z ]+) \| (.+) \|$", section, re.M)
    assert sorted(listed) == sorted(_rows(TABLES[title]))
