"""The events of a streamed response, in the order and shape that OpenAI's clients put together.

Sayings -> server-sent events

A choice's reasoning item is open while it reasons: its text comes as it is written, a summary with
each step that ends. Its message follows. Several choices' items are open side by side.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Literal

from steiner.serving.completion import Completion
from steiner.serving.formatting import StepObject
from steiner.serving.response_objects import (
    Item,
    Status,
    message_item,
    output_text,
    reasoning_item,
    reasoning_text,
    response_object,
    status_of,
    summary_text,
)
from steiner.serving.results import Ending, Saying
from steiner.serving.schemas import ResponsesBody
from steiner.serving.streaming import event


async def response_events(
    body: ResponsesBody, completion: Completion, told: AsyncIterator[Saying]
) -> AsyncIterator[bytes]:
    """All events, from response.created to response.completed or response.incomplete."""
    stream = _Stream(body, completion)
    for sent in stream.begin():
        yield sent
    async for saying in told:
        for sent in stream.more(saying):
            yield sent
    yield stream.end()


class _Stream:
    """Numbers the events, and keeps the items of the response."""

    def __init__(self, body: ResponsesBody, completion: Completion) -> None:
        self._body, self._completion = body, completion
        self._num_sent = 0
        self._items: list[Item] = []
        self._endings: list[Ending] = []
        self._choices = [_Choice(self) for _ in range(completion.num_choices)]

    def begin(self) -> Iterator[bytes]:
        """What comes before the first token."""
        response = response_object(self._body, self._completion, [])
        yield self.send("response.created", response=response)
        yield self.send("response.in_progress", response=response)

    def more(self, saying: Saying) -> Iterator[bytes]:
        """What one choice adds."""
        yield from self._choices[saying.choice].add(saying)
        if saying.ending is not None:
            self._endings.append(saying.ending)

    def end(self) -> bytes:
        """The whole response."""
        response = response_object(self._body, self._completion, self._items, self._endings)
        return self.send(f"response.{response['status']}", response=response)

    def send(self, name: str, **fields: Any) -> bytes:
        """One event."""
        number, self._num_sent = self._num_sent, self._num_sent + 1
        return event({"type": name, "sequence_number": number} | fields, name)

    def add_item(self, item: Item) -> int:
        """The place of a new item in the output."""
        self._items.append(item)
        return len(self._items) - 1

    def finish_item(self, place: int, item: Item) -> None:
        """Replaces an item by its final form."""
        self._items[place] = item

    def item_id(self, kind: str) -> str:
        """The id of the next item."""
        return f"{kind}_{self._completion.id}{len(self._items)}"


class _Choice:
    """The items of one choice: its reasoning, then its message; one of them is open."""

    def __init__(self, stream: _Stream) -> None:
        self._send, self._stream = stream.send, stream
        self._open: Literal["", "reasoning", "message"] = ""
        self._place: dict[str, Any] = {}
        """Id and output index of the open item."""
        self._reasoning, self._content = "", ""
        self._steps: list[StepObject] = []

    def add(self, saying: Saying) -> Iterator[bytes]:
        """The events of what it says."""
        delta, ending = saying.delta, saying.ending
        if not self._open:
            yield from self._begin_reasoning()
        if delta.reasoning:
            yield from self._reason(delta.reasoning)
        for step in delta.steps:
            yield from self._sum_up(step)
        if self._open == "reasoning" and (delta.content or ending):
            cut = ending is not None and not ending.whole and not delta.content
            yield from self._end_reasoning("incomplete" if cut else "completed")
        if delta.content or (ending and ending.whole):
            yield from self._answer(delta.content)
        if ending and self._open == "message":
            yield from self._end_message(status_of(ending))

    # ------------------------------------------------------------------ the reasoning item

    def _begin_reasoning(self) -> Iterator[bytes]:
        self._open = "reasoning"
        yield self._begin_item(reasoning_item(self._stream.item_id("rs"), "in_progress", "", []))
        yield self._part("added", reasoning_text(""))

    def _reason(self, text: str) -> Iterator[bytes]:
        self._reasoning += text
        yield self._send(
            "response.reasoning_text.delta", **self._place, content_index=0, delta=text
        )

    def _sum_up(self, step: StepObject) -> Iterator[bytes]:
        """The summary of a step that has ended, and the step itself."""
        place = self._place | {"summary_index": len(self._steps)}
        self._steps.append(step)
        part, name = summary_text(step["summary"]), "response.reasoning_summary"
        yield self._send(f"{name}_part.added", **place, part=summary_text(""))
        yield self._send(f"{name}_text.delta", **place, delta=part["text"])
        yield self._send(f"{name}_text.done", **place, text=part["text"])
        yield self._send(f"{name}_part.done", **place, part=part, reasoning_step=step)

    def _end_reasoning(self, status: Status) -> Iterator[bytes]:
        self._open = ""
        text = self._reasoning
        yield self._send("response.reasoning_text.done", **self._place, content_index=0, text=text)
        yield self._part("done", reasoning_text(text))
        yield self._end_item(reasoning_item(self._place["item_id"], status, text, self._steps))

    # ------------------------------------------------------------------ the message

    def _answer(self, text: str) -> Iterator[bytes]:
        if self._open != "message":
            self._open = "message"
            yield self._begin_item(message_item(self._stream.item_id("msg"), "in_progress", ""))
            yield self._part("added", output_text(""))
        if text:
            self._content += text
            place = self._place | {"content_index": 0}
            yield self._send("response.output_text.delta", **place, delta=text, logprobs=[])

    def _end_message(self, status: Status) -> Iterator[bytes]:
        text, place = self._content, self._place | {"content_index": 0}
        yield self._send("response.output_text.done", **place, text=text, logprobs=[])
        yield self._part("done", output_text(text))
        yield self._end_item(message_item(self._place["item_id"], status, text))

    # ------------------------------------------------------------------ either

    def _begin_item(self, item: Item) -> bytes:
        index = self._stream.add_item(item)
        self._place = {"item_id": item["id"], "output_index": index}
        return self._send("response.output_item.added", output_index=index, item=item)

    def _end_item(self, item: Item) -> bytes:
        index = self._place["output_index"]
        self._stream.finish_item(index, item)
        return self._send("response.output_item.done", output_index=index, item=item)

    def _part(self, what: str, part: Mapping[str, Any]) -> bytes:
        name = f"response.content_part.{what}"
        return self._send(name, **self._place, content_index=0, part=part)
