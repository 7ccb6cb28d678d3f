"""The objects of the Responses API: a response and its items.

ResponsesBody, Accounts -> JSON objects
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from typing_extensions import TypedDict

from steiner.serving.completion import Completion
from steiner.serving.formatting import StepObject
from steiner.serving.results import TIME_LIMIT, Ending
from steiner.serving.schemas import ResponsesBody
from steiner.serving.usage import ResponseUsage, response_usage

Status = Literal["in_progress", "completed", "incomplete"]


class SummaryText(TypedDict):
    """The summary of one step."""

    type: Literal["summary_text"]
    text: str


class ReasoningText(TypedDict):
    """All of the reasoning."""

    type: Literal["reasoning_text"]
    text: str


class ReasoningItem(TypedDict):
    """How the answer was found."""

    type: Literal["reasoning"]
    id: str
    status: Status
    summary: list[SummaryText]
    content: list[ReasoningText]
    reasoning_steps: list[StepObject]


class OutputText(TypedDict):
    """Text of an answer."""

    type: Literal["output_text"]
    text: str
    annotations: list[None]
    logprobs: list[None]


class MessageItem(TypedDict):
    """The answer."""

    type: Literal["message"]
    id: str
    status: Status
    role: Literal["assistant"]
    content: list[OutputText]


Item = ReasoningItem | MessageItem


class Incomplete(TypedDict):
    """Why a response is cut short; `detail` is "time_limit" where that was the limit."""

    reason: Literal["max_output_tokens"]
    detail: str | None


class ReasoningOptions(TypedDict):
    """How hard the model was asked to think."""

    effort: str | None
    summary: Literal["detailed"]


class ResponseObject(TypedDict):
    """The whole answer."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Status
    error: None
    incomplete_details: Incomplete | None
    instructions: str | None
    max_output_tokens: int | None
    metadata: dict[str, str]
    model: str
    output: list[Item]
    parallel_tool_calls: bool
    previous_response_id: None
    reasoning: ReasoningOptions
    store: bool
    temperature: float | None
    text: dict[str, dict[str, str]]
    tool_choice: Literal["auto"]
    tools: list[None]
    top_p: float | None
    truncation: Literal["disabled"]
    usage: ResponseUsage | None


def response_object(
    body: ResponsesBody,
    completion: Completion,
    output: Sequence[Item],
    endings: Sequence[Ending] = (),
) -> ResponseObject:
    """The response; in progress while there are no endings."""
    cut = next((ending for ending in endings if not ending.whole), None)
    status: Status = "incomplete" if cut else "completed" if endings else "in_progress"
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
        model=body.model,
        output=list(output),
        parallel_tool_calls=False,
        previous_response_id=None,
        reasoning=ReasoningOptions(effort=body.effort, summary="detailed"),
        store=False,
        temperature=body.temperature,
        text={"format": {"type": "text"}},
        tool_choice="auto",
        tools=[],
        top_p=body.top_p,
        truncation="disabled",
        usage=response_usage(endings) if endings else None,
    )


def reasoning_item(id: str, status: Status, text: str, steps: list[StepObject]) -> ReasoningItem:
    """The reasoning of a choice."""
    return ReasoningItem(
        type="reasoning",
        id=id,
        status=status,
        summary=[summary_text(step["summary"]) for step in steps],
        content=[] if status == "in_progress" else [reasoning_text(text)],
        reasoning_steps=steps,
    )


def message_item(id: str, status: Status, text: str) -> MessageItem:
    """The answer of a choice."""
    return MessageItem(
        type="message",
        id=id,
        status=status,
        role="assistant",
        content=[] if status == "in_progress" else [output_text(text)],
    )


def status_of(ending: Ending) -> Status:
    """The status of a finished choice's items."""
    return "completed" if ending.whole else "incomplete"


def summary_text(text: str) -> SummaryText:
    """A part of a reasoning item."""
    return SummaryText(type="summary_text", text=text)


def reasoning_text(text: str) -> ReasoningText:
    """The text of a reasoning item."""
    return ReasoningText(type="reasoning_text", text=text)


def output_text(text: str) -> OutputText:
    """A part of a message."""
    return OutputText(type="output_text", text=text, annotations=[], logprobs=[])


def _incomplete(ending: Ending) -> Incomplete:
    detail = ending.stop_reason if ending.stop_reason == TIME_LIMIT else None
    return Incomplete(reason="max_output_tokens", detail=detail)
