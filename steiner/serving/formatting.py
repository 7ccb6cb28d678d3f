"""A completion in the API's words: its reasoning as one text, its steps as objects, its answer.

tokens as they come -> Deltas;  Steps -> text and objects

The deltas of a completion, put together, are what account.py makes of it at the end.
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
from steiner.types import Decision, Problem, Step, StepTexts


class StepObject(TypedDict):
    """One step of the reasoning."""

    index: int
    """Counted from 0; OpenAI's client cannot add up a stream's lists of objects without it."""
    next_step: str
    understanding: str
    verification: str
    summary: str
    decision: str
    """proceed, backtrack or end."""
    depth: int
    """1 for a step taken from the question itself."""
    parent: int | None
    """Which step, counted from 0, it goes on from; null for the question."""
    mark: str
    """A Mark of the search tree; in a stream, no answer is graded yet."""


@dataclass(slots=True)
class Delta:
    """What some tokens add to a completion."""

    reasoning: str = ""
    steps: list[StepObject] = field(default_factory=list)
    content: str = ""

    def __bool__(self) -> bool:
        return bool(self.reasoning or self.steps or self.content)


def reasoning_text(steps: Sequence[Step]) -> str:
    """The reasoning as one text: for each step its number, its components and its decision, unless
    that is the end. Components without text are left out."""
    return "\n\n".join(_step_told(number, step) for number, step in enumerate(steps, 1))


def _step_told(number: int, step: Step) -> str:
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
    """A step with its place in the tree."""
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
        mark=str(node.mark),
    )


class Scribe:
    """Writes the deltas of one completion."""

    def __init__(
        self, vocabulary: Vocabulary, problem: Problem | None, stops: Sequence[str] = ()
    ) -> None:
        self.content = Content(stops)
        self._narrator = StepEventParser(vocabulary, problem=problem)
        self._problem = problem
        self._texts: dict[str, str] = {}
        self._place = StepPlaced(0, 0, 1, None)
        self._space: str | None = None

    def write(self, token_ids: Sequence[int], *, last: bool = False) -> Delta:
        """What these tokens add; after the `last` ones nothing is held back."""
        delta = Delta()
        for event in self._narrator.feed(token_ids):
            self._note(event, delta)
            delta.reasoning += self._tell(event)
        if last:
            delta.content += self.content.rest()
        return delta

    def _note(self, event: StepEvent, delta: Delta) -> None:
        """Keeps what makes up a step, and adds the step to the delta once it is whole."""
        if isinstance(event, AnswerDelta):
            delta.content += self.content.add(event.text)
        elif isinstance(event, StepStarted):
            self._texts = {}
        elif isinstance(event, ComponentFinished):
            self._texts[event.component] = event.text
        elif isinstance(event, StepPlaced):
            self._place = event
        elif isinstance(event, StepFinished):
            delta.steps.append(self._step(event.decision))

    def _step(self, decision: Decision) -> StepObject:
        step = Step(StepTexts(**self._texts), decision, self._place.depth)
        _, tree = build_tree([step], self._problem)
        node = TreeNode(step.depth, self._place.parent, tree.nodes[0].mark)
        return step_object(self._place.step, step, node)

    def _tell(self, event: StepEvent) -> str:
        """What the event adds to the reasoning as one text."""
        if isinstance(event, StepStarted):
            return f"\n\nStep {event.step + 1}" if event.step else "Step 1"
        if isinstance(event, ComponentDelta):
            return self._tell_text(event.component, event.text)
        if isinstance(event, ComponentFinished):
            self._space = None
        if isinstance(event, StepFinished) and event.decision is not Decision.END:
            return f"\nDecision: {event.decision}"
        return ""

    def _tell_text(self, component: Component, text: str) -> str:
        """The text without the white space around the component's whole."""
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


class Content:
    """An answer that comes in pieces, without the white space around it, up to a stop text."""

    def __init__(self, stops: Sequence[str]) -> None:
        self.stopped_at: str | None = None
        """The stop text that has come."""
        self._stops = stops
        self._held = max((len(stop) - 1 for stop in stops), default=0)
        self._text = ""
        self._num_told = 0
        self._end: int | None = None

    def add(self, text: str) -> str:
        """What can be told now: at its end there is neither white space nor the beginning of a stop
        text."""
        self._text = (self._text + text).lstrip()[: self._end]
        if self.stopped_at is None:
            self._look_for_stop()
        sure = len(self._text) - (self._held if self.stopped_at is None else 0)
        return self._tell(len(self._text[: max(0, sure)].rstrip()))

    def rest(self) -> str:
        """What has been held back."""
        return self._tell(len(self._text.rstrip()))

    def _tell(self, until: int) -> str:
        told = self._text[self._num_told : until]
        self._num_told = max(self._num_told, until)
        return told

    def _look_for_stop(self) -> None:
        """Cuts the text at the first stop text in it."""
        since = max(0, self._num_told - self._held)
        places = [(self._text.find(stop, since), stop) for stop in self._stops]
        found = [(place, stop) for place, stop in places if place >= 0]
        if found:
            self._end, self.stopped_at = min(found)
            self._text = self._text[: self._end]
