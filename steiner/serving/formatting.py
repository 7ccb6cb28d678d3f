"""Formats completions for the APIs: reasoning as text, steps as objects, answer as text.

tokens while they are decoded -> Deltas;  Steps -> text and objects

The deltas of a completion, joined, equal the whole result that results.py builds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from typing_extensions import TypedDict

from steiner.format.tokenizer import Vocabulary
from steiner.inference.search_tree import TreeNode, build_tree
from steiner.inference.step_events import (
    AnswerDelta,
    Component,
    ComponentDelta,
    ComponentFinished,
    StepEvent,
    StepEventParser,
    StepFinished,
    StepPlaced,
    StepStarted,
)
from steiner.tasks.no_answer import is_reading
from steiner.types import Decision, Step, StepTexts


class StepObject(TypedDict):
    """One step of the reasoning."""

    index: int
    """Counted from 0; OpenAI's client needs it to join the objects of a stream."""
    next_step: str
    understanding: str
    verification: str
    summary: str
    decision: str
    """proceed, backtrack or end."""
    depth: int
    """1 for a step taken from the question itself."""
    parent: int | None
    """Index of the step that it continues; null for the question."""
    reads: bool
    """True if its understanding restates the question: how the model read it."""
    mark: str
    """A Mark of the search tree. In a stream it is provisional: later steps and the grade of the
    answer can change it, and the last chunk has the final marks."""


@dataclass(slots=True)
class Delta:
    """The text and steps that some tokens add to a completion."""

    reasoning: str = ""
    steps: list[StepObject] = field(default_factory=list)
    content: str = ""

    def __bool__(self) -> bool:
        return bool(self.reasoning or self.steps or self.content)


def reasoning_text(steps: Sequence[Step]) -> str:
    """The reasoning as one text: the number, the components and the decision of each step.

    Empty components and the decision to end are left out.
    """
    return "\n\n".join(_step_text(number, step) for number, step in enumerate(steps, 1))


def _step_text(number: int, step: Step) -> str:
    lines = [f"Step {number}"]
    for component in Component:
        if text := getattr(step.texts, component):
            lines.append(_heading(component) + text)
    if step.decision is not Decision.END:
        lines.append(f"Decision: {step.decision}")
    return "\n".join(lines)


def _heading(component: Component) -> str:
    return f"{component.label.capitalize()}: "


def step_object(index: int, step: Step, node: TreeNode) -> StepObject:
    """A step with its position in the tree."""
    texts = step.texts
    return StepObject(
        index=index,
        next_step=texts.next_step,
        understanding=texts.understanding,
        verification=texts.verification,
        summary=texts.summary,
        decision=str(step.decision),
        depth=node.depth,
        parent=node.parent,
        reads=index == 0 and is_reading(texts),
        mark=str(node.mark),
    )


class DeltaFormatter:
    """Turns the tokens of one completion into deltas."""

    def __init__(self, vocabulary: Vocabulary, stops: Sequence[str] = ()) -> None:
        self.answer = AnswerText(stops)
        self._parser = StepEventParser(vocabulary)
        self._texts: dict[str, str] = {}
        self._position = StepPlaced(0, 0, 1, None)
        self._space: str | None = None
        """White space held back at the end of a component; None before its first text."""

    def add(self, token_ids: Sequence[int], *, last: bool = False) -> Delta:
        """The delta of these tokens; with `last`, nothing is held back any more."""
        delta = Delta()
        for event in self._parser.feed(token_ids):
            self._update(event, delta)
            delta.reasoning += self._reasoning(event)
        if last:
            delta.content += self.answer.rest()
        return delta

    def _update(self, event: StepEvent, delta: Delta) -> None:
        """Collects the parts of a step, and adds the finished step to the delta."""
        if isinstance(event, AnswerDelta):
            delta.content += self.answer.add(event.text)
        elif isinstance(event, StepStarted):
            self._texts = {}
        elif isinstance(event, ComponentFinished):
            self._texts[event.component] = event.text
        elif isinstance(event, StepPlaced):
            self._position = event
        elif isinstance(event, StepFinished):
            delta.steps.append(self._step(event.decision))

    def _step(self, decision: Decision) -> StepObject:
        step = Step(StepTexts(**self._texts), decision, self._position.depth)
        _, tree = build_tree([step], stopped=True)  # the last chunk has the final mark
        node = TreeNode(step.depth, self._position.parent, tree.nodes[0].mark)
        return step_object(self._position.step, step, node)

    def _reasoning(self, event: StepEvent) -> str:
        """The text that the event adds to the reasoning."""
        if isinstance(event, StepStarted):
            return f"\n\nStep {event.step + 1}" if event.step else "Step 1"
        if isinstance(event, ComponentDelta):
            return self._component_text(event.component, event.text)
        if isinstance(event, ComponentFinished):
            self._space = None
        if isinstance(event, StepFinished) and event.decision is not Decision.END:
            return f"\nDecision: {event.decision}"
        return ""

    def _component_text(self, component: Component, text: str) -> str:
        """The text, without white space at the start and the end of the component."""
        heading = ""
        if self._space is None:
            text = text.lstrip()
            if not text:
                return ""
            heading, self._space = f"\n{_heading(component)}", ""
        text = self._space + text
        body = text.rstrip()
        self._space = text[len(body) :]
        return heading + body


class AnswerText:
    """An answer that arrives in pieces: strips white space around it and ends at a stop text."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.stopped_at: str | None = None
        """The stop text that ended the answer."""
        self._stops = stops
        self._held = max((len(stop) - 1 for stop in stops), default=0)
        self._text = ""
        self._num_sent = 0
        self._end: int | None = None

    def add(self, text: str) -> str:
        """The text that can be sent now. White space at the end and a possible beginning of a stop
        text are held back."""
        self._text = (self._text + text).lstrip()[: self._end]
        if self.stopped_at is None:
            self._find_stop()
        certain = len(self._text) - (self._held if self.stopped_at is None else 0)
        return self._send(len(self._text[: max(0, certain)].rstrip()))

    def rest(self) -> str:
        """The text that was held back."""
        return self._send(len(self._text.rstrip()))

    @property
    def length(self) -> int:
        """Characters of the answer so far."""
        return len(self._text.rstrip())

    def _send(self, until: int) -> str:
        new = self._text[self._num_sent : until]
        self._num_sent = max(self._num_sent, until)
        return new

    def _find_stop(self) -> None:
        """Cuts the text at its first stop text."""
        since = max(0, self._num_sent - self._held)
        starts = [(self._text.find(stop, since), stop) for stop in self._stops]
        matches = [(start, stop) for start, stop in starts if start >= 0]
        if matches:
            self._end, self.stopped_at = min(matches)
            self._text = self._text[: self._end]
