"""The treatment of every request field: honoured, accepted without effect, or refused.

request body -> None, or InvalidRequest that names the field

No field is ignored silently. A field is honoured, or it cannot change the answer and is accepted,
or it is refused with a 400. docs/serving.md shows these tables, and a test compares them with the
types of OpenAI's client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from steiner.serving.errors import InvalidRequest


class Treatment(StrEnum):
    """The treatment of a field."""

    HONOURED = "honoured"
    NO_EFFECT = "no effect"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class FieldRule:
    """The treatment of one field."""

    treatment: Treatment
    note: str
    """What it does, or why it is refused."""
    allowed: tuple[Any, ...] = ()
    """Values of a refused field that mean the same as leaving it out."""
    fields: FieldRules = field(default_factory=dict)
    """The fields of an object in the field, or of each object of a list."""


FieldRules = Mapping[str, FieldRule]
"""By the field's name."""


def check_fields(body: Mapping[str, Any], rules: FieldRules, place: str = "") -> None:
    """Raises InvalidRequest for the first field that is unknown or refused, at any depth.

    `place` stands before the names, such as "messages.0.".
    """
    for name, value in body.items():
        path, rule = place + name, rules.get(name)
        if rule is None:
            raise InvalidRequest(f"unknown field '{path}'{_nearest(name, rules, place)}", path)
        if rule.treatment is Treatment.REFUSED and not _is_allowed(value, rule):
            raise InvalidRequest(f"{path} is refused: {rule.note}", path)
        if rule.fields:
            _check_objects(value, rule.fields, path)


def _check_objects(value: Any, rules: FieldRules, path: str) -> None:
    if isinstance(value, Mapping):
        check_fields(value, rules, f"{path}.")
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            if isinstance(entry, Mapping):
                check_fields(entry, rules, f"{path}.{index}.")


def _nearest(name: str, rules: FieldRules, place: str) -> str:
    near = get_close_matches(name, rules, n=1)
    return f"; did you mean '{place}{near[0]}'?" if near else ""


def _is_allowed(value: Any, rule: FieldRule) -> bool:
    return value is None or any(
        value == allowed and isinstance(value, bool) == isinstance(allowed, bool)
        for allowed in rule.allowed
    )


def _honoured(note: str, fields: FieldRules | None = None) -> FieldRule:
    return FieldRule(Treatment.HONOURED, note, fields=fields or {})


def _no_effect(note: str) -> FieldRule:
    return FieldRule(Treatment.NO_EFFECT, note)


def _refused(note: str, *allowed: Any) -> FieldRule:
    return FieldRule(Treatment.REFUSED, note, allowed)


_NO_TOOLS = "tools are accepted, but the model never calls one"
_TEXT_ONLY = "the model reads and writes text only"
_NO_PENALTY = "the model has no penalties"
_STATELESS = "the server stores nothing; send the whole dialogue each time"
_SENT_BACK = "part of earlier output; the model does not see it"
_LABEL = "a label; the model does not see it"
_SUMMARIES = "summaries are always sent"

_THINKING: FieldRules = {
    "enable_thinking": _honoured("the field of the same name"),
    "thinking": _honoured("the same, for other chat templates"),
}
_OBFUSCATION = _no_effect("no padding is sent")
_STREAM_OPTIONS: FieldRules = {
    "include_usage": _honoured("a last chunk with the usage"),
    "include_obfuscation": _OBFUSCATION,
}
_REASONING: FieldRules = {
    "effort": _honoured("as `reasoning_effort` in chat"),
    "summary": _no_effect(_SUMMARIES),
    "generate_summary": _no_effect(_SUMMARIES),
    "context": _refused("earlier reasoning is not shown to the model", "auto", "current_turn"),
    "mode": _refused("the model has one mode", "standard"),
}
_TEXT: FieldRules = {
    "format": _refused("answers are free text", {"type": "text"}),
    "verbosity": _refused("the model has one verbosity", "medium"),
}

PART_FIELDS: FieldRules = {
    "type": _honoured("`text`, `input_text` or `output_text`"),
    "text": _honoured("the text"),
    **dict.fromkeys(("annotations", "logprobs", "parsed"), _no_effect(_SENT_BACK)),
    "cache_control": _no_effect("the cache is not visible in answers"),
    "prompt_cache_breakpoint": _no_effect("the cache is not visible in answers"),
    "refusal": _refused("the model reads no refusals; leave the part out"),
    **dict.fromkeys(
        ("image_url", "input_audio", "file", "file_data", "file_id", "file_url", "filename"),
        _refused(_TEXT_ONLY),
    ),
    "detail": _refused(_TEXT_ONLY),
}
"""A part of the content of a message or an item."""

MESSAGE_FIELDS: FieldRules = {
    "role": _honoured("system, developer, user, assistant, tool or function"),
    "content": _honoured("a text, or a list of parts", PART_FIELDS),
    "name": _no_effect(_LABEL),
    "tool_call_id": _no_effect(_LABEL),
    **dict.fromkeys(
        (
            "reasoning",
            "reasoning_content",
            "reasoning_steps",
            "refusal",
            "annotations",
            "audio",
            "tool_calls",
            "function_call",
            "images",
            "parsed",
            "provider_specific_fields",
            "reasoning_items",
            "thinking_blocks",
        ),
        _no_effect(_SENT_BACK),
    ),
}
"""A message of a chat. The last four are added by clients: OpenAI's own and LiteLLM."""

ITEM_FIELDS: FieldRules = {
    "type": _honoured("`message`, `function_call_output`, `function_call` or `reasoning`"),
    "role": _honoured("as in a message of a chat"),
    "content": _honoured("of a message: a text, or a list of parts", PART_FIELDS),
    "output": _honoured("of a tool: a text, or a list of parts", PART_FIELDS),
    **dict.fromkeys(("id", "call_id", "status", "phase", "namespace"), _no_effect(_LABEL)),
    **dict.fromkeys(
        (
            "summary",
            "encrypted_content",
            "reasoning_steps",
            "name",
            "arguments",
            "parsed_arguments",
            "caller",
            "async",
        ),
        _no_effect(_SENT_BACK),
    ),
}
"""An item of a response's input."""

_SHARED: FieldRules = {
    "model": _honoured("the served model if left out; another name is a 404"),
    "stream": _honoured("server-sent events"),
    "n": _honoured("number of choices, at most 32; each takes a place in the queue"),
    "temperature": _honoured("0 to 2; default: the model's own, or 0.7 if `n` > 1 and that is 0"),
    "top_p": _honoured("above 0, at most 1"),
    "min_p": _honoured("vLLM's field: 0 to 1"),
    "seed": _honoured("the same seed draws the same choices"),
    "min_steps": _honoured("fewest reasoning steps; limits of tokens come first"),
    "max_steps": _honoured("most reasoning steps; wins over an effort other than none"),
    "thinking_token_budget": _honoured("most tokens of reasoning; 0 to 12: the shortest reasoning"),
    "enable_thinking": _honoured("false: the shortest reasoning, one empty step of 12 tokens"),
    "chat_template_kwargs": _honoured("switches of chat templates", _THINKING),
    "user": _no_effect("identifies the caller's user"),
    "metadata": _no_effect("labels of the caller"),
    "service_tier": _no_effect("there is one tier"),
    "safety_identifier": _no_effect("identifies the caller's user"),
    "prompt_cache_key": _no_effect("the cache is not visible in answers"),
    "prompt_cache_options": _no_effect("the cache is not visible in answers"),
    "prompt_cache_retention": _no_effect("the cache is not visible in answers"),
    "store": _refused(_STATELESS, False),
    "logit_bias": _refused("token biases are not supported", {}),
    "frequency_penalty": _refused(_NO_PENALTY, 0),
    "presence_penalty": _refused(_NO_PENALTY, 0),
    "repetition_penalty": _refused(_NO_PENALTY, 1),
    "top_k": _refused("use top_p or min_p", -1, 0),
    "moderation": _refused("there is no moderation"),
}
"""Fields that all three endpoints treat alike; the last ones are vLLM's."""

_DIALOGUE: FieldRules = {
    "tools": _no_effect(_NO_TOOLS),
    "parallel_tool_calls": _no_effect(_NO_TOOLS),
    "tool_choice": _refused(_NO_TOOLS, "auto", "none"),
}

CHAT_FIELDS: FieldRules = {
    "messages": _honoured(
        "the dialogue; ends with a message of the user or of a tool", MESSAGE_FIELDS
    ),
    "max_completion_tokens": _honoured("tokens of reasoning and answer together, at least 13"),
    "max_tokens": _honoured("the same, under its older name; two different values are a 400"),
    "reasoning_effort": _honoured("none, minimal, low, medium, high, xhigh, max"),
    "stop": _honoured("up to 4 texts that end the answer; reasoning is not searched"),
    "stream_options": _honoured("only with `stream`", _STREAM_OPTIONS),
    "logprobs": _honoured("log-probabilities of the answer's tokens"),
    "top_logprobs": _honoured("0 to 20 alternatives per token; needs `logprobs`"),
    "prediction": _no_effect("it could only change the speed"),
    "functions": _no_effect(_NO_TOOLS),
    "function_call": _refused(_NO_TOOLS, "auto", "none"),
    "response_format": _refused("answers are free text", {"type": "text"}),
    "verbosity": _refused("the model has one verbosity", "medium"),
    "modalities": _refused(_TEXT_ONLY, ["text"]),
    "audio": _refused(_TEXT_ONLY),
    "web_search_options": _refused("the model does not search the web"),
    **_DIALOGUE,
    **_SHARED,
}
"""POST /v1/chat/completions."""

RESPONSE_FIELDS: FieldRules = {
    "input": _honoured("a question, or the dialogue as a list of items", ITEM_FIELDS),
    "instructions": _honoured("the system prompt"),
    "max_output_tokens": _honoured("tokens of reasoning and answer together, at least 13"),
    "reasoning": _honoured("the amount of reasoning", _REASONING),
    "include": _honoured(
        "`message.output_text.logprobs`; OpenAI's other values have no effect, since reasoning is"
        " sent as text and a response has no items of tools"
    ),
    "top_logprobs": _honoured("0 to 20 alternatives per token; needs `include`"),
    "text": _honoured("the form of the answer", _TEXT),
    "stream_options": _honoured("only with `stream`", {"include_obfuscation": _OBFUSCATION}),
    "max_tool_calls": _no_effect(_NO_TOOLS),
    "previous_response_id": _refused(_STATELESS),
    "conversation": _refused(_STATELESS),
    "prompt": _refused(_STATELESS),
    "background": _refused("responses run in the foreground", False),
    "background_options": _refused("responses run in the foreground"),
    "truncation": _refused("a dialogue that is too long is an error", "disabled"),
    "context_management": _refused("the whole dialogue stays in the context", []),
    "image": _refused(_TEXT_ONLY),
    "access_programs": _refused("the server has no such programs"),
    **_DIALOGUE,
    **_SHARED,
}
"""POST /v1/responses."""

TEXT_FIELDS: FieldRules = {
    "prompt": _honoured("a text, or up to 32 texts; each is one question of the user"),
    "max_tokens": _honoured("tokens of reasoning and answer together, at least 13"),
    "reasoning_effort": _honoured("as in chat"),
    "stop": _honoured("up to 4 texts that end the answer; reasoning is not searched"),
    "stream_options": _honoured("only with `stream`", _STREAM_OPTIONS),
    "logprobs": _honoured("0 to 20 alternatives for each of the answer's tokens"),
    "best_of": _refused("use n, and choose among the choices", 1),
    "echo": _refused("the prompt is not part of the text", False),
    "suffix": _refused("the model writes no text before a given end", ""),
    **_SHARED,
}
"""POST /v1/completions."""
