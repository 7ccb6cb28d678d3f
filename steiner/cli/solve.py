"""One question, answered on the terminal or as JSON.

question, Ask -> text on stdout

    steiner solve "Make 24 from 3, 5, 7, 9." --effort high
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING, Literal

from steiner.cli.solve_options import Ask, load, refuse_unsolvable
from steiner.types import Message

if TYPE_CHECKING:
    from steiner.inference.answer import ReasoningEvent

Form = Literal["text", "json", "json-lines"]
"""For people; one JSON object; one JSON object a line for each event, as it happens."""


def solve(question: str, ask: Ask, *, model: str, language: str, form: Form = "text") -> None:
    """Prints the search and the answer. Raises UserError for what cannot be answered."""
    refuse_unsolvable(question, language)
    reasoner = load(model, language, sys.stderr)
    with closing(ask.stream(reasoner, [Message("user", question)])) as events:
        if form == "text":
            _show(events, ask.samples)
        else:
            _print_json(events, every=form == "json-lines")


def _show(events: Iterable[ReasoningEvent], samples: int) -> None:
    from steiner.cli.step_display import Display
    from steiner.cli.style import Style

    display = Display(sys.stdout, Style.of(sys.stdout), samples=samples)
    try:
        for event in events:
            display.show(event)
    except KeyboardInterrupt:
        display.interrupt()
        raise


def _print_json(events: Iterable[ReasoningEvent], *, every: bool) -> None:
    from steiner.cli.json_output import answer_json, event_json
    from steiner.inference.answer import Finished

    for event in events:
        if every:
            print(json.dumps(event_json(event), ensure_ascii=False), flush=True)
        elif isinstance(event, Finished):
            print(json.dumps(answer_json(event.answer), ensure_ascii=False, indent=2))
