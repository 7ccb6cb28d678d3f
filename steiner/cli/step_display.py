"""The search on a terminal, each step as it is written, then what came of it.

Events -> text on a stream

Output is only ever appended to, so it reads the same on a terminal, in a file and in a log.
"""

from __future__ import annotations

from typing import TextIO

from steiner.cli.answer_summary import counted, ending, heading
from steiner.cli.style import Style
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
from steiner.types import Decision

_INDENT = 5
_LABEL_WIDTH = 23


class Display:
    """Writes what happens. Of several samples only the ends are told, then the chosen one."""

    def __init__(self, stream: TextIO, style: Style, *, samples: int = 1) -> None:
        self._stream, self._style, self._samples = stream, style, samples
        self._num_finished = 0
        self._component: Component | None = None
        """What the last delta belonged to."""
        self._answering = False
        self._column = 0
        """Where the text of the open line began; 0 where no line is open."""
        self._fresh = True
        """Whether nothing but white space stands there yet."""
        self._before: Decision | None = None

    def show(self, event: ReasoningEvent) -> None:
        """Writes one event."""
        if isinstance(event, Finished):
            self._close()
            self._line("\n".join(ending(event.answer, self._style)))
        elif self._samples == 1:
            self._show_step(event)
        elif isinstance(event, SampleFinished):
            self._show_sample(event)
        self._stream.flush()

    def interrupt(self) -> None:
        """Ends the line that is being written, and says that the answer was stopped."""
        self._close()
        self._line(self._style.paint("stopped", "yellow"))
        self._stream.flush()

    def _show_step(self, event: ReasoningEvent) -> None:
        match event:
            case StepStarted(step=step):
                number = self._style.paint(f"{step + 1:>{_INDENT - 2}}", "bold")
                self._label(f"{number}  ", Component.NEXT_STEP)
            case ComponentDelta(component=component, text=text):
                if component is not self._component:
                    self._label(" " * _INDENT, component)
                self._text(text, bold=component is Component.NEXT_STEP)
            case ComponentFinished(component=component):
                self._finish_component(component)
            case StepPlaced(parent=parent):
                self._show_origin(parent)
            case StepFinished(decision=decision):
                self._before = decision
                self._line(" " * _INDENT + self._style.decision(decision))
            case AnswerDelta(text=text):
                if not self._answering:
                    self._answering = True
                    self._open("\n" + heading("answer", self._style), len("answer") + 3)
                self._text(text, bold=True)

    # ------------------------------------------------------------------ components

    def _label(self, margin: str, component: Component) -> None:
        self._component = component
        label = self._style.paint(f"{component.label:<{_LABEL_WIDTH}}", "dim")
        self._open(margin + label, _INDENT + _LABEL_WIDTH)

    def _finish_component(self, component: Component) -> None:
        if component is not self._component:
            self._label(" " * _INDENT, component)
        if self._fresh:
            self._text("(nothing)")
        if component is not Component.NEXT_STEP:
            self._close()

    def _show_origin(self, parent: int | None) -> None:
        """After a backtrack, says where the step goes on from."""
        if self._before is Decision.BACKTRACK:
            origin = "the question" if parent is None else f"step {parent + 1}"
            self._stream.write(self._style.paint(f"   (again from {origin})", "dim"))
        self._close()

    def _show_sample(self, event: SampleFinished) -> None:
        self._num_finished += 1
        head = f"{self._num_finished:>{_INDENT - 2}} of {self._samples}"
        steps = f"({counted(len(event.rollout.steps), 'step')})"
        room = max(20, self._style.width - len(head) - len(steps) - 4)
        answer = shortened(one_line(event.rollout.answer) or "(nothing)", room, "...")
        self._line(f"{head}  {answer}  {self._style.paint(steps, 'dim')}")

    # ------------------------------------------------------------------ lines

    def _open(self, start: str, column: int) -> None:
        self._close()
        self._stream.write(start)
        self._column, self._fresh = column, True

    def _text(self, text: str, *, bold: bool = False) -> None:
        """Text in the open line; it goes on below its beginning where it has several lines."""
        text = printable(text.lstrip() if self._fresh else text)
        self._fresh = self._fresh and not text
        for index, line in enumerate(text.split("\n")):
            if index:
                self._stream.write("\n" + " " * self._column)
            self._stream.write(self._style.paint(line, "bold") if bold else line)

    def _close(self) -> None:
        if self._column:
            self._stream.write("\n")
        self._column = 0

    def _line(self, text: str) -> None:
        self._stream.write(text + "\n")
