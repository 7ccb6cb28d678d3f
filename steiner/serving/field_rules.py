"""The treatment of every request field: honoured, accepted without effect, or refused.

request body -> None, or InvalidRequest that names the field

No field is ignored silently. A field is honoured, or it cannot change the answer and is accepted,
or it is refused with a 400. docs/serving.md shows these tables, and a test compares them with the
types of OpenAI's client.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


FieldRules = Mapping[str, FieldRule]
"""By the field's name."""


def check_fields(body: Mapping[str, Any], rules: FieldRules) -> None:
    """Raises InvalidRequest for the first field that is unknown or refused."""
    for name, value in body.items():
        rule = rules.get(name)
        if rule is None:
            raise InvalidRequest(f"unknown field '{name}'{_nearest(name, rules)}", name)
        if rule.treatment is Treatment.REFUSED and not _is_allowed(value, rule):
            raise InvalidRequest(f"{name} is refused: {rule.note}", name)


def _nearest(name: str, rules: FieldRules) -> str:
    near = get_close_matches(name, rules, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _is_allowed(value: Any, rule: FieldRule) -> bool:
    return value is None or any(
        value == allowed and isinstance(value, bool) == isinstance(allowed, bool)
        for allowed in rule.allowed
    )


def _honoured(note: str) -> FieldRule:
    return FieldRule(Treatment.HONOURED, note)


def _no_effect(note: str) -> FieldRule:
    return FieldRule(Treatment.NO_EFFECT, note)


def _refused(note: str, *allowed: Any) -> FieldRule:
    return FieldRule(Treatment.REFUSED, note, allowed)


_NO_TOOLS = "tools are accepted, but the model never calls one"
_TEXT_ONLY = "the model reads and writes text only"
_NO_PENALTY = "the model has no penalties"
_STATELESS = "the server stores nothing; send the whole dialogue each time"

_SHARED: FieldRules = {
    "model": _honoured("the served model if left out; another name is a 404"),
    "stream": _honoured("server-sent events"),
    "n": _honoured("number of choices, at most 32; each takes a place in the queue"),
    "temperature": _honoured("0 to 2; default: the model's own"),
    "top_p": _honoured("above 0, at most 1"),
    "min_p": _honoured("vLLM's field: 0 to 1"),
    "seed": _honoured("the same seed draws the same choices"),
    "min_steps": _honoured("fewest reasoning steps"),
    "max_steps": _honoured("most reasoning steps; wins over an effort"),
    "thinking_token_budget": _honoured("most tokens of reasoning; 0: the shortest reasoning"),
    "enable_thinking": _honoured("false: one reasoning step, the shortest reasoning"),
    "chat_template_kwargs": _honoured("`enable_thinking` or `thinking`, as above; nothing else"),
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
    "messages": _honoured("the dialogue; ends with a message of the user or of a tool"),
    "max_completion_tokens": _honoured("tokens of reasoning and answer together, at least 13"),
    "max_tokens": _honoured("the same, under its older name"),
    "reasoning_effort": _honoured("none, minimal, low, medium, high, xhigh, max"),
    "stop": _honoured("up to 4 texts that end the answer; reasoning is not searched"),
    "stream_options": _honoured("`include_usage`; `include_obfuscation` has no effect"),
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
    "input": _honoured("a question, or the dialogue as a list of items"),
    "instructions": _honoured("the system prompt"),
    "max_output_tokens": _honoured("tokens of reasoning and answer together, at least 13"),
    "reasoning": _honoured("`effort` as in chat; summaries are always sent"),
    "include": _honoured("`message.output_text.logprobs`; the other values add nothing"),
    "top_logprobs": _honoured("0 to 20 alternatives per token; needs `include`"),
    "text": _honoured("`format` of type `text` and `verbosity` `medium` only"),
    "stream_options": _honoured("`include_obfuscation` has no effect"),
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
    "stream_options": _honoured("`include_usage`; `include_obfuscation` has no effect"),
    "logprobs": _honoured("0 to 20 alternatives for each of the answer's tokens"),
    "best_of": _refused("use n, and choose among the choices", 1),
    "echo": _refused("the prompt is not part of the text", False),
    "suffix": _refused("the model writes no text before a given end", ""),
    **_SHARED,
}
"""POST /v1/completions."""
