"""Error messages are sentences in the API's words; none comes from the validator."""

from __future__ import annotations

import json
import re

import httpx
import pytest

from steiner.serving.validation_messages import _SENTENCES

GOOD = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 40}
VALIDATOR = re.compile(
    r"Input should|Field required|valid \w+|validation|pydantic|Value error", re.I
)
CASES = [
    ("missing", {"messages": ...}, "messages is missing"),
    ("missing", {"messages": [{"content": "Hi"}]}, "messages.0 has no field 'role'"),
    ("string_type", {"model": 5}, "model is 5; it must be text"),
    ("int_type", {"n": "3"}, 'n is "3"; it must be a whole number'),
    ("int_type", {"n": 2.5}, "n is 2.5; it must be a whole number"),
    ("float_type", {"temperature": "hot"}, 'temperature is "hot"; it must be a number'),
    ("bool_type", {"stream": "yes"}, 'stream is "yes"; it must be true or false'),
    ("list_type", {"messages": None}, "messages is null; it must be a list"),
    ("list_type", {"messages": {}}, "messages is an object; it must be a list"),
    ("model_type", {"messages": ["Hi"]}, 'messages.0 is "Hi"; it must be an object'),
    ("model_type", {"stream_options": 1}, "stream_options is 1; it must be an object"),
    ("string_type", {"stop": 5}, "stop is 5; it must be text or a list"),
    (
        "string_type",
        {"messages": [{"role": "user", "content": 5}]},
        "messages.0.content is 5; it must be text or a list",
    ),
    ("greater_than_equal", {"n": 0}, "n is 0; it must be at least 1"),
    ("less_than_equal", {"temperature": 3}, "temperature is 3; it must be at most 2.0"),
    ("greater_than", {"top_p": 0}, "top_p is 0; it must be above 0.0"),
    ("less_than", {"seed": 2**63}, f"seed is {2**63}; it must be below {2**63}"),
    (
        "literal_error",
        {"reasoning_effort": "huge"},
        (
            "reasoning_effort is \"huge\"; it must be 'none' or 'minimal' or 'low' or 'medium' or "
            "'high' or 'xhigh' or 'max'"
        ),
    ),
    (
        "literal_error",
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        (
            "messages.0.content.0.type is \"image_url\"; it must be 'text' or 'input_text' or "
            "'output_text'"
        ),
    ),
    ("too_short", {"messages": []}, "messages is empty; it needs at least 1"),
    ("too_long", {"stop": list("abcde")}, "stop has more than 4 entries"),
    ("too_short", {"stop": ["a", ""]}, "stop.1 is an empty text"),
    ("too_short", {"stop": ""}, "stop is an empty text"),
    ("too_long", {"stop": "x" * 300}, "stop has more than 256 characters"),
    ("half_a_character", {"model": "\ud800"}, "model contains half a character (a lone surrogate)"),
]


@pytest.mark.parametrize(("kind", "fields", "sentence"), CASES)
def test_each_error_has_its_sentence(served, kind, fields, sentence):
    body = {name: value for name, value in (GOOD | fields).items() if value is not ...}
    response = httpx.post(
        f"{served.url}/v1/chat/completions",
        content=json.dumps(body),
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["message"] == sentence
    assert error["param"] is not None


def test_every_sentence_is_tried():
    unreachable = {"model_attributes_type", "dict_type", "int_from_float"}  # forms of others above
    assert {kind for kind, *_ in CASES} == set(_SENTENCES) - unreachable


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/completions"])
def test_no_wrong_value_of_any_field_leaks_the_validator(served, path):
    """Every field of the schemas with values of every wrong kind."""
    wrong = [None, True, -1, 1.5, 10**30, "", "x", "\ud800", [], [None], [{}], {}, {"x": {}}, [[1]]]
    schema = httpx.get(f"{served.url}/openapi.json").json()
    reference = schema["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    name = reference["schema"]["$ref"].rsplit("/", 1)[1]
    with httpx.Client(base_url=served.url) as http:
        for field in schema["components"]["schemas"][name]["properties"]:
            for value in wrong:
                if field in ("prompt", "input") and value == "x":
                    continue
                content = json.dumps({field: value})  # without a question nothing is decoded
                headers = {"Content-Type": "application/json"}
                response = http.post(path, content=content, headers=headers)
                assert response.status_code in (400, 404), (field, value)
                message = response.json()["error"]["message"]
                assert not VALIDATOR.search(message), message


def test_a_body_that_is_no_json(served):
    headers = {"Content-Type": "application/json"}
    response = httpx.post(f"{served.url}/v1/responses", content=b"{", headers=headers)
    assert response.json()["error"]["message"] == "the body is not valid JSON"
