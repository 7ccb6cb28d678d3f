"""The events of a streamed response, in the order and format that OpenAI's clients expect.

ChoiceDeltas -> server-sent events

The reasoning item of a choice is open while it reasons: text follows the model's tokens, and each
finished step adds a summary. The message item follows. Items of several choices are open at the
same time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Literal

from steiner.serving.completion import Completion
from steiner.serving.formatting import StepObject
from steiner.serving.response_objects import (
    OutputItem,
    ResponseStatus,
    message_item,
    output_text,
    reasoning_item,
    reasoning_text,
    response_object,
    status_of,
    summary_text,
)
from steiner.serving.results import ChoiceDelta, ChoiceEnding
from steiner.serving.schemas import ResponseRequest
from steiner.serving.streaming import server_sent_event


async def response_events(
    body: ResponseRequest, completion: Completion, deltas: AsyncIterator[ChoiceDelta]
) -> AsyncIterator[bytes]:
    """All events, from response.created to response.completed or response.incomplete."""
    stream = _ResponseStream(body, completion)
    for event in stream.start():
        yield event
    async for delta in deltas:
        for event in stream.add(delta):
            yield event
    yield stream.end()


class _ResponseStream:
    """Numbers the events and keeps the items of the response."""

    def __init__(self, body: ResponseRequest, completion: Completion) -> None:
        self._body, self._completion = body, completion
        self._num_sent = 0
        self._items: list[OutputItem] = []
        self._endings: list[ChoiceEnding] = []
        self._choices = [_ChoiceItems(self) for _ in range(completion.num_choices)]

    def start(self) -> Iterator[bytes]:
        """The events before the first token."""
        response = response_object(self._body, self._completion, [])
        yield self.send("response.created", response=response)
        yield self.send("response.in_progress", response=response)

    def add(self, delta: ChoiceDelta) -> Iterator[bytes]:
        """The events of one delta."""
        yield from self._choices[delta.choice].add(delta)
        if delta.ending is not None:
            self._endings.append(delta.ending)

    def end(self) -> bytes:
        """The last event, with the whole response."""
        response = response_object(self._body, self._completion, self._items, self._endings)
        return self.send(f"response.{response['status']}", response=response)

    def send(self, name: str, **fields: Any) -> bytes:
        """One event."""
        number, self._num_sent = self._num_sent, self._num_sent + 1
        return server_sent_event({"type": name, "sequence_number": number} | fields, name)

    def add_item(self, item: OutputItem) -> int:
        """Adds an item to the output; returns its index."""
        self._items.append(item)
        return len(self._items) - 1

    def finish_item(self, index: int, item: OutputItem) -> None:
        """Replaces an item by its final form."""
        self._items[index] = item

    def item_id(self, kind: str) -> str:
        """The id of the next item."""
        return f"{kind}_{self._completion.id}{len(self._items)}"


class _ChoiceItems:
    """The items of one choice: its reasoning, then its message; one of them is open."""

    def __init__(self, stream: _ResponseStream) -> None:
        self._send, self._stream = stream.send, stream
        self._open: Literal["", "reasoning", "message"] = ""
        self._item: dict[str, Any] = {}
        """Id and output index of the open item."""
        self._reasoning, self._content = "", ""
        self._steps: list[StepObject] = []

    def add(self, choice_delta: ChoiceDelta) -> Iterator[bytes]:
        """The events of one delta."""
        delta, ending = choice_delta.delta, choice_delta.ending
        if not self._open:
            yield from self._start_reasoning()
        if delta.reasoning:
            yield from self._add_reasoning(delta.reasoning)
        for step in delta.steps:
            yield from self._add_summary(step)
        if self._open == "reasoning" and (delta.content or ending):
            cut = ending is not None and not ending.complete and not delta.content
            yield from self._end_reasoning("incomplete" if cut else "completed")
        if delta.content or (ending and ending.complete):
            yield from self._add_content(delta.content)
        if ending and self._open == "message":
            yield from self._end_message(ending)
        if ending:
            self._set_final_marks(ending)

    # ------------------------------------------------------------------ the reasoning item

    def _start_reasoning(self) -> Iterator[bytes]:
        self._open = "reasoning"
        yield self._start_item(reasoning_item(self._stream.item_id("rs"), "in_progress", "", []))
        yield self._part("added", reasoning_text(""))

    def _add_reasoning(self, text: str) -> Iterator[bytes]:
        self._reasoning += text
        yield self._send("response.reasoning_text.delta", **self._item, content_index=0, delta=text)

    def _add_summary(self, step: StepObject) -> Iterator[bytes]:
        """The summary of a finished step, and the step itself."""
        item = self._item | {"summary_index": len(self._steps)}
        self._steps.append(step)
        part, name = summary_text(step["summary"]), "response.reasoning_summary"
        yield self._send(f"{name}_part.added", **item, part=summary_text(""))
        yield self._send(f"{name}_text.delta", **item, delta=part["text"])
        yield self._send(f"{name}_text.done", **item, text=part["text"])
        yield self._send(f"{name}_part.done", **item, part=part, reasoning_step=step)

    def _end_reasoning(self, status: ResponseStatus) -> Iterator[bytes]:
        self._open = ""
        text = self._reasoning
        yield self._send("response.reasoning_text.done", **self._item, content_index=0, text=text)
        yield self._part("done", reasoning_text(text))
        yield self._end_item(reasoning_item(self._item["item_id"], status, text, self._steps))

    # ------------------------------------------------------------------ the message

    def _add_content(self, text: str) -> Iterator[bytes]:
        if self._open != "message":
            self._open = "message"
            yield self._start_item(message_item(self._stream.item_id("msg"), "in_progress", ""))
            yield self._part("added", output_text(""))
        if text:
            self._content += text
            item = self._item | {"content_index": 0}
            yield self._send("response.output_text.delta", **item, delta=text, logprobs=[])

    def _end_message(self, ending: ChoiceEnding) -> Iterator[bytes]:
        text, item = self._content, self._item | {"content_index": 0}
        logprobs = ending.logprobs or []
        yield self._send("response.output_text.done", **item, text=text, logprobs=logprobs)
        yield self._part("done", output_text(text, logprobs))
        status = status_of(ending)
        yield self._end_item(message_item(self._item["item_id"], status, text, logprobs))

    def _set_final_marks(self, ending: ChoiceEnding) -> None:
        """Replaces provisional marks in the reasoning item of the whole response."""
        for step, mark in zip(self._steps, ending.marks, strict=False):
            step["mark"] = mark

    # ------------------------------------------------------------------ both

    def _start_item(self, item: OutputItem) -> bytes:
        index = self._stream.add_item(item)
        self._item = {"item_id": item["id"], "output_index": index}
        return self._send("response.output_item.added", output_index=index, item=item)

    def _end_item(self, item: OutputItem) -> bytes:
        index = self._item["output_index"]
        self._stream.finish_item(index, item)
        return self._send("response.output_item.done", output_index=index, item=item)

    def _part(self, event: str, part: Mapping[str, Any]) -> bytes:
        name = f"response.content_part.{event}"
        return self._send(name, **self._item, content_index=0, part=part)
