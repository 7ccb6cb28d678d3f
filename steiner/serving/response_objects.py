"""The objects of the Responses API: a response and its items.

ResponseRequest, ChoiceResults -> JSON objects
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from typing_extensions import TypedDict

from steiner.serving.completion import Completion
from steiner.serving.formatting import StepObject
from steiner.serving.logprobs import TokenLogprob
from steiner.serving.results import REPETITION, TIME_LIMIT, ChoiceEnding
from steiner.serving.schemas import ResponseRequest
from steiner.serving.usage import ResponseUsage, response_usage

ResponseStatus = Literal["in_progress", "completed", "incomplete"]


class SummaryText(TypedDict):
    """The summary of one step."""

    type: Literal["summary_text"]
    text: str


class ReasoningText(TypedDict):
    """All of the reasoning."""

    type: Literal["reasoning_text"]
    text: str


class ReasoningItem(TypedDict):
    """The reasoning of a choice."""

    type: Literal["reasoning"]
    id: str
    status: ResponseStatus
    summary: list[SummaryText]
    content: list[ReasoningText]
    reasoning_steps: list[StepObject]


class OutputText(TypedDict):
    """Text of an answer."""

    type: Literal["output_text"]
    text: str
    annotations: list[None]
    logprobs: list[TokenLogprob]


class MessageItem(TypedDict):
    """The answer."""

    type: Literal["message"]
    id: str
    status: ResponseStatus
    role: Literal["assistant"]
    content: list[OutputText]


OutputItem = ReasoningItem | MessageItem


class IncompleteDetails(TypedDict):
    """Why a response is incomplete; `detail` names a limit that OpenAI's API does not have."""

    reason: Literal["max_output_tokens"]
    detail: str | None


class ReasoningSettings(TypedDict):
    """The effort of the request."""

    effort: str | None
    summary: Literal["detailed"]


class ResponseObject(TypedDict):
    """The whole response."""

    id: str
    object: Literal["response"]
    created_at: int
    status: ResponseStatus
    error: None
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, str]
    model: str
    output: list[OutputItem]
    parallel_tool_calls: bool
    previous_response_id: None
    reasoning: ReasoningSettings
    store: bool
    temperature: float | None
    text: dict[str, dict[str, str]]
    tool_choice: Literal["auto", "none"]
    tools: list[dict[str, Any]]
    top_p: float | None
    truncation: Literal["disabled"]
    usage: ResponseUsage | None


def response_object(
    body: ResponseRequest,
    completion: Completion,
    output: Sequence[OutputItem],
    endings: Sequence[ChoiceEnding] = (),
) -> ResponseObject:
    """The response; it is in progress while there are no endings."""
    cut = next((ending for ending in endings if not ending.complete), None)
    status: ResponseStatus = "incomplete" if cut else "completed" if endings else "in_progress"
    return ResponseObject(
        id=f"resp_{completion.id}",
        object="response",
        created_at=completion.created_s,
        status=status,
        error=None,
        incomplete_details=None if cut is None else _incomplete(cut),
        instructions=body.instructions,
        max_output_tokens=body.max_output_tokens,
        metadata=body.metadata or {},
        model=body.model or "",
        output=list(output),
        parallel_tool_calls=bool(body.parallel_tool_calls),
        previous_response_id=None,
        reasoning=ReasoningSettings(effort=body.effort, summary="detailed"),
        store=False,
        temperature=body.temperature,
        text={"format": {"type": "text"}},
        tool_choice=body.tool_choice or "auto",
        tools=body.tools or [],
        top_p=body.top_p,
        truncation="disabled",
        usage=response_usage(completion.num_prompt_tokens, endings) if endings else None,
    )


def reasoning_item(
    id: str, status: ResponseStatus, text: str, steps: list[StepObject]
) -> ReasoningItem:
    """The reasoning of a choice."""
    return ReasoningItem(
        type="reasoning",
        id=id,
        status=status,
        summary=[summary_text(step["summary"]) for step in steps],
        content=[] if status == "in_progress" else [reasoning_text(text)],
        reasoning_steps=steps,
    )


def message_item(
    id: str, status: ResponseStatus, text: str, logprobs: list[TokenLogprob] | None = None
) -> MessageItem:
    """The answer of a choice."""
    return MessageItem(
        type="message",
        id=id,
        status=status,
        role="assistant",
        content=[] if status == "in_progress" else [output_text(text, logprobs)],
    )


def status_of(ending: ChoiceEnding) -> ResponseStatus:
    """The status of a finished choice's items."""
    return "completed" if ending.complete else "incomplete"


def summary_text(text: str) -> SummaryText:
    """The summary of one step, for a reasoning item."""
    return SummaryText(type="summary_text", text=text)


def reasoning_text(text: str) -> ReasoningText:
    """The text of a reasoning item."""
    return ReasoningText(type="reasoning_text", text=text)


def output_text(text: str, logprobs: list[TokenLogprob] | None = None) -> OutputText:
    """The text of a message."""
    return OutputText(type="output_text", text=text, annotations=[], logprobs=logprobs or [])


def _incomplete(ending: ChoiceEnding) -> IncompleteDetails:
    detail = ending.stop_reason if ending.stop_reason in (TIME_LIMIT, REPETITION) else None
    return IncompleteDetails(reason="max_output_tokens", detail=detail)
