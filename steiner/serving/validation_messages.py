"""One sentence for each way in which a request body can be wrong, in the API's own words.

validation errors, request body -> (sentence, name of the field)

The validator's sentences ("Input should be ...") use its own terms, so clients never see them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_LONGEST_VALUE = 40
"""Characters of a value that a sentence shows."""

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}
"""Error type -> what the field must be."""

_BOUNDS = {
    "greater_than_equal": ("ge", "it must be at least"),
    "greater_than": ("gt", "it must be above"),
    "less_than_equal": ("le", "it must be at most"),
    "less_than": ("lt", "it must be below"),
}
"""Error type -> (key of the bound, words before it)."""

Error = Mapping[str, Any]
_Sentence = Callable[[str, Sequence[Error]], str]


def validation_message(errors: Sequence[Error], body: Any) -> tuple[str, str | None]:
    """The sentence for the first error, and the field that it names.

    Where a field may have several forms, the validator reports an error for each. The form whose
    error lies deepest in the body is the one that the client meant.
    """
    if errors[0]["type"] == "json_invalid":
        return "the body is not valid JSON", None
    located = [(_location(error, body), error) for error in errors]
    field = _field(located[0][0])
    same_field = [(place, error) for place, error in located if _field(place) == field]
    place = max((p for p, _ in same_field), key=len)
    here = [error for p, error in same_field if p == place]
    known = [error for error in here if error["type"] in _SENTENCES]
    # A wrong type only says that another form of the field does not fit.
    first = next((e for e in known if e["type"] not in _EXPECTED), known[0] if known else None)
    name = ".".join(map(str, place))
    if first is None:
        return f"{name or 'the body'} cannot be used", name or None
    alike = [error for error in here if _SENTENCES.get(error["type"]) is _SENTENCES[first["type"]]]
    return _SENTENCES[first["type"]](name or "the body", alike), name or None


def _field(place: Sequence[str | int]) -> str | int | None:
    return place[0] if place else None


def _location(error: Error, body: Any) -> tuple[str | int, ...]:
    """The error's place in the body, without the names of the validator's alternatives."""
    place: list[str | int] = []
    node = body
    for part in error["loc"][1:]:
        if _has(node, part):
            node = node[part]
            place.append(part)
    if error["type"] == "missing" and not place:
        place.append(error["loc"][-1])
    return tuple(place)


def _has(node: Any, part: str | int) -> bool:
    if isinstance(node, Mapping):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and part < len(node)


def _missing(name: str, errors: Sequence[Error]) -> str:
    field = errors[0]["loc"][-1]
    return f"{field} is missing" if name == field else f"{name} has no field '{field}'"


def _wrong_type(name: str, errors: Sequence[Error]) -> str:
    expected = dict.fromkeys(_EXPECTED[error["type"]] for error in errors)
    return f"{name} is {shown(errors[0]['input'])}; it must be {' or '.join(expected)}"


def _out_of_bounds(name: str, errors: Sequence[Error]) -> str:
    key, words = _BOUNDS[errors[0]["type"]]
    return f"{name} is {shown(errors[0]['input'])}; {words} {errors[0]['ctx'][key]}"


def _not_a_choice(name: str, errors: Sequence[Error]) -> str:
    choices = dict.fromkeys(
        choice for error in errors for choice in re.findall(r"'[^']*'", error["ctx"]["expected"])
    )
    return f"{name} is {shown(errors[0]['input'])}; it must be {' or '.join(choices)}"


def _too_short(name: str, errors: Sequence[Error]) -> str:
    if isinstance(errors[0]["input"], str):
        return f"{name} is an empty text"
    return f"{name} is empty; it needs at least {errors[0]['ctx']['min_length']}"


def _too_long(name: str, errors: Sequence[Error]) -> str:
    limit = errors[0]["ctx"]["max_length"]
    unit = "characters" if isinstance(errors[0]["input"], str) else "entries"
    return f"{name} has more than {limit} {unit}"


def _half_a_character(name: str, errors: Sequence[Error]) -> str:
    return f"{name} contains half a character (a lone surrogate)"


_SENTENCES: Mapping[str, _Sentence] = {
    "missing": _missing,
    **dict.fromkeys(_EXPECTED, _wrong_type),
    **dict.fromkeys(_BOUNDS, _out_of_bounds),
    "literal_error": _not_a_choice,
    "too_short": _too_short,
    "too_long": _too_long,
    "half_a_character": _half_a_character,
}
"""Error type -> its sentence."""


def shown(value: Any) -> str:
    """A value as a sentence shows it."""
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
