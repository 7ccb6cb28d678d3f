"""Answers one question and prints the search as text or as JSON.

question, SolveOptions -> text on a stream

    steiner solve "Make 24 from 3, 5, 7, 9." --effort high
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Literal, TextIO

from steiner.cli.interrupts import noticed_interrupts
from steiner.types import Message

if TYPE_CHECKING:
    from steiner.inference.answer import ReasoningEvent
    from steiner.inference.questions import SolveOptions
    from steiner.inference.reasoner import Reasoner

OutputFormat = Literal["text", "json", "json-lines"]
"""Text for people; one JSON object; one JSON object per line for each event, while it happens."""


def solve(
    question: str,
    options: SolveOptions,
    reasoner: Reasoner,
    output: TextIO,
    output_format: OutputFormat = "text",
) -> None:
    """Prints the search and the answer. Raises UserError for a question that cannot be used."""
    events = reasoner.stream([Message("user", question)], **options)
    with closing(events):
        if output_format == "text":
            _print_text(events, output, options.get("samples", 1))
        else:
            _print_json(events, output, every_event=output_format == "json-lines")


def _print_text(events: Iterable[ReasoningEvent], output: TextIO, samples: int) -> None:
    from steiner.cli.step_display import StepDisplay
    from steiner.cli.style import Style

    display = StepDisplay(output, Style.of(output), samples=samples)
    with noticed_interrupts() as interrupted:
        for event in events:
            if interrupted():
                display.interrupt()
                raise KeyboardInterrupt
            display.show(event)


def _print_json(events: Iterable[ReasoningEvent], output: TextIO, *, every_event: bool) -> None:
    from steiner.cli.json_output import answer_json, event_json
    from steiner.inference.answer import Finished

    for event in events:
        if every_event:
            print(json.dumps(event_json(event), ensure_ascii=False), file=output, flush=True)
        elif isinstance(event, Finished):
            record = answer_json(event.answer)
            print(json.dumps(record, ensure_ascii=False, indent=2), file=output)
