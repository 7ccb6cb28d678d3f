"""Refuses requests whose fields contradict each other.

request -> None, or InvalidRequest that names both fields

Limits of tokens contradict nothing: all of them hold together, and `min_steps` comes after them.
`max_steps` wins over an effort, except over one that turns reasoning off.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from steiner.inference.efforts import EFFORT_STEPS, SHORTEST_EFFORT
from steiner.serving.errors import InvalidRequest
from steiner.serving.validation_messages import shown

_SWITCHES = (
    "enable_thinking",
    "chat_template_kwargs.enable_thinking",
    "chat_template_kwargs.thinking",
)
_EFFORTS = ("reasoning_effort", "reasoning.effort")


def check_contradictions(request: BaseModel) -> None:
    """Raises InvalidRequest for the first two fields that contradict each other."""
    if _value(request, "stream_options") is not None and not _value(request, "stream"):
        raise InvalidRequest("stream_options needs 'stream': true", "stream_options")
    names = ("max_tokens", "max_completion_tokens")
    if len({_value(request, name) for name in names} - {None}) > 1:
        raise _contradiction(request, *names)
    _check_thinking(request)
    _check_min_steps(request)


def _check_thinking(request: BaseModel) -> None:
    """Reasoning is on or off, and has one step where it is off."""
    is_on = {field: _value(request, field) for field in _SWITCHES}
    is_on |= {field: _value(request, field) != SHORTEST_EFFORT for field in _given_efforts(request)}
    on = next((field for field, value in is_on.items() if value is True), None)
    off = next((field for field, value in is_on.items() if value is False), None)
    if off is None:
        return
    if on is not None:
        raise _contradiction(request, off, on)
    for steps in ("max_steps", "min_steps"):
        if (_value(request, steps) or 0) > 1:
            raise _contradiction(request, off, steps)


def _check_min_steps(request: BaseModel) -> None:
    """The steps that an effort allows suffice for `min_steps`."""
    fewest, limit = (_value(request, field) for field in ("min_steps", "max_steps"))
    for field in _given_efforts(request):
        most = EFFORT_STEPS[_value(request, field)]
        if limit is None and most is not None and (fewest or 0) > most:
            raise _contradiction(request, field, "min_steps")


def _given_efforts(request: BaseModel) -> list[str]:
    """The fields that give an effort."""
    return [field for field in _EFFORTS if _value(request, field) is not None]


def _value(request: BaseModel, field: str) -> Any:
    """The value of a field, such as "reasoning.effort"; None where it is not given."""
    value: Any = request
    for name in field.split("."):
        value = getattr(value, name, None)
    return value


def _contradiction(request: BaseModel, first: str, second: str) -> InvalidRequest:
    values = (f"{field} is {shown(_value(request, field))}" for field in (first, second))
    return InvalidRequest(f"{' and '.join(values)}; give one of them", first)
