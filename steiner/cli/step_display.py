"""Shows a search in a terminal: each step while the model writes it, then the summary.

ReasoningEvents -> text on a stream

Output is only appended, so it reads the same in a terminal, in a file and in a log.
"""

from __future__ import annotations

from typing import TextIO

from steiner.cli.answer_summary import HEADING_WIDTH, heading, summary_lines
from steiner.cli.style import Style
from steiner.cli.text_column import Paint, TextColumn
from steiner.inference.answer import Finished, ReasoningEvent
from steiner.inference.step_events import (
    AnswerDelta,
    Component,
    ComponentDelta,
    ComponentFinished,
    SampleFinished,
    StepFinished,
    StepPlaced,
    StepStarted,
)
from steiner.inference.tree_drawing import one_line, printable, shortened
from steiner.progress import plural
from steiner.tasks.no_answer import is_reading
from steiner.types import Decision, StepTexts

_INDENT = 5
"""Columns before a label."""
_LABEL_WIDTH = 23
_STACKED_INDENT = 7
"""Columns before a text under its label."""


class StepDisplay:
    """Writes events to a stream. With several samples: one line per sample, then the summary."""

    def __init__(self, stream: TextIO, style: Style, *, samples: int = 1) -> None:
        self._stream, self._style, self._samples = stream, style, samples
        self._num_finished = 0
        self._component: Component | None = None
        """The component of the open column."""
        self._answering = False
        self._column: TextColumn | None = None
        """The text that is being written."""
        self._empty = True
        """Whether the open column has no text yet but white space."""
        self._last_decision: Decision | None = None
        self._reads = False
        """Whether the open step reads the question."""

    def show(self, event: ReasoningEvent) -> None:
        """Writes one event."""
        if isinstance(event, Finished):
            self._close()
            self._write_line("\n".join(summary_lines(event.answer, self._style)))
        elif self._samples == 1:
            self._show_step(event)
        elif isinstance(event, SampleFinished):
            self._show_sample(event)
        self._stream.flush()

    def interrupt(self) -> None:
        """Ends the open line, and says that the answer was stopped."""
        self._close()
        self._write_line(self._style.paint("stopped", "yellow"))
        self._stream.flush()

    def _show_step(self, event: ReasoningEvent) -> None:
        match event:
            case StepStarted(step=step):
                number = self._style.bold(f"{step + 1:>{_INDENT - 2}}")
                self._open_component(f"{number}  ", Component.NEXT_STEP)
            case ComponentDelta(component=component, text=text):
                if component is not self._component:
                    self._open_component(" " * _INDENT, component)
                self._write(text, self._paint_of(component))
            case ComponentFinished(component=component, text=text):
                if component is Component.NEXT_STEP:
                    self._reads = is_reading(StepTexts(text, "", "", ""))
                self._finish_component(component)
            case StepPlaced(depth=depth, parent=parent):
                self._show_origin(depth, parent)
            case StepFinished(decision=decision):
                self._last_decision = decision
                self._write_line(" " * _INDENT + self._style.decision(decision))
            case AnswerDelta(text=text):
                if not self._answering:
                    self._answering = True
                    self._open("\n" + heading("answer", self._style), HEADING_WIDTH)
                self._write(text, self._style.bold)

    # ------------------------------------------------------------------ components

    def _open_component(self, margin: str, component: Component) -> None:
        self._component = component
        name = component.label
        if component is Component.UNDERSTANDING and self._reads:
            name = "how I read it"
        label = self._style.dim(f"{name:<{_LABEL_WIDTH}}")
        if self._style.stacks_labels:
            label = self._style.dim(name)
            self._open(f"{margin}{label}\n{' ' * _STACKED_INDENT}", _STACKED_INDENT)
        else:
            self._open(margin + label, _INDENT + _LABEL_WIDTH)

    def _finish_component(self, component: Component) -> None:
        if component is not self._component:
            self._open_component(" " * _INDENT, component)
        if self._empty:
            self._write("(nothing)", self._style.dim)
        if component is not Component.NEXT_STEP:  # its line waits for the origin
            self._close()

    def _show_origin(self, depth: int, parent: int | None) -> None:
        """After a backtrack, says from where the step continues."""
        if self._last_decision is Decision.BACKTRACK:
            origin = "the question" if parent is None or depth == 1 else f"step {parent + 1}"
            self._write(f"   (again from {origin})", self._style.dim)
        self._close()

    def _paint_of(self, component: Component) -> Paint:
        return self._style.bold if component is Component.NEXT_STEP else str

    def _show_sample(self, event: SampleFinished) -> None:
        self._num_finished += 1
        start = f"{self._num_finished:>{_INDENT - 2}} of {self._samples}"
        steps = f"({plural(len(event.rollout.steps), 'step')})"
        room = max(20, self._style.width - len(start) - len(steps) - 4)
        answer = one_line(event.rollout.answer) or "(nothing)"
        answer = shortened(answer, room, self._style.glyphs.ellipsis)
        self._write_line(f"{start}  {answer}  {self._style.dim(steps)}")

    # ------------------------------------------------------------------ lines

    def _open(self, start: str, indent: int) -> None:
        self._close()
        self._stream.write(start)
        self._column = TextColumn(self._stream, indent=indent, width=self._style.wrap_width)
        self._empty = True

    def _write(self, text: str, paint: Paint) -> None:
        """Writes text into the open column, without white space at its start."""
        text = printable(text.lstrip() if self._empty else text)
        self._empty = self._empty and not text
        if self._column is not None:
            self._column.write(text, paint)

    def _close(self) -> None:
        if self._column is not None:
            self._column.finish()
            self._stream.write("\n")
        self._column = None

    def _write_line(self, text: str) -> None:
        self._stream.write(text + "\n")
