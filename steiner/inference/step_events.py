"""Turns generated token ids into step events while the model decodes.

token ids, as the engine appends them -> StepEvents

Components are found by token ids, never by text. The server and the terminal use one
StepEventParser for each completion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from steiner.format import grammar
from steiner.format.grammar import GrammarState
from steiner.format.parser import GrammarParser
from steiner.format.tokenizer import Vocabulary
from steiner.inference.search_tree import Branch, stated_depth
from steiner.tasks import read_problem
from steiner.tasks.no_answer import is_reading
from steiner.types import Decision, Problem, Rollout, StepTexts


class Component(StrEnum):
    """The four components of a step in written order; the values are the fields of StepTexts."""

    NEXT_STEP = "next_step"
    UNDERSTANDING = "understanding"
    SUMMARY = "summary"
    VERIFICATION = "verification"

    @property
    def label(self) -> str:
        """The component's name for users."""
        return _LABELS[self]


_LABELS = {
    Component.NEXT_STEP: "next step",
    Component.UNDERSTANDING: "current understanding",
    Component.SUMMARY: "summary",
    Component.VERIFICATION: "verification",
}


@dataclass(frozen=True, slots=True)
class StepStarted:
    """Step number `step` (from 0) of sample number `sample` (from 0) begins."""

    sample: int
    step: int


@dataclass(frozen=True, slots=True)
class ComponentDelta:
    """More text of a component; all deltas together are its text, up to white space around it."""

    sample: int
    step: int
    component: Component
    text: str


@dataclass(frozen=True, slots=True)
class ComponentFinished:
    """The whole text of a component."""

    sample: int
    step: int
    component: Component
    text: str


@dataclass(frozen=True, slots=True)
class StepPlaced:
    """The position of the step in the tree; known once its next_step is written."""

    sample: int
    step: int
    depth: int
    parent: int | None
    """Index of the parent step; None for the question."""


@dataclass(frozen=True, slots=True)
class StepFinished:
    """The step is complete, with its decision; `Decision.END` ends the reasoning."""

    sample: int
    step: int
    decision: Decision


@dataclass(frozen=True, slots=True)
class AnswerDelta:
    """More text of the answer."""

    sample: int
    text: str


@dataclass(frozen=True, slots=True)
class SampleFinished:
    """The whole rollout of one sample."""

    sample: int
    rollout: Rollout


StepEvent = (
    StepStarted
    | ComponentDelta
    | ComponentFinished
    | StepPlaced
    | StepFinished
    | AnswerDelta
    | SampleFinished
)
"""An event of one sample."""

_COMPONENT_OF = {
    GrammarState.NAME: Component.NEXT_STEP,
    GrammarState.THOUGHT: Component.UNDERSTANDING,
    GrammarState.SUMMARY: Component.SUMMARY,
    GrammarState.REFLECTION: Component.VERIFICATION,
}


class StepEventParser:
    """Turns the tokens of one completion into events; `problem` is the problem it solves, if known.

    Otherwise it is the one that the first step reads in the question. The words of a step give its
    depth; without a problem its decisions do.
    """

    def __init__(
        self, vocabulary: Vocabulary, *, sample: int = 0, problem: Problem | None = None
    ) -> None:
        self._vocabulary, self._sample, self._problem = vocabulary, sample, problem
        self._parser = GrammarParser()
        self._decision: Decision | None = None
        self._branch = Branch()
        self._reader = TextReader(vocabulary.decode_text)

    def feed(self, token_ids: Sequence[int]) -> Iterator[StepEvent]:
        """Yields the events of the next tokens; none after a token that breaks the format."""
        for token, token_class in zip(token_ids, self._vocabulary.classes(token_ids), strict=True):
            before = self._parser.state
            self._parser.feed(token_class)
            if token_class == grammar.TEXT:
                yield from self._add_text(self._reader.push(token))
            else:
                yield from self._change_state(before, token_class)

    @property
    def _step(self) -> int:
        """Index of the latest step."""
        return self._parser.num_steps - 1

    def _add_text(self, text: str) -> Iterator[StepEvent]:
        if not text:
            return
        state = self._parser.state
        if state is GrammarState.ANSWER:
            yield AnswerDelta(self._sample, text)
        elif state in _COMPONENT_OF:
            component = _COMPONENT_OF[state]
            yield ComponentDelta(self._sample, self._step, component, text)

    def _change_state(self, before: GrammarState, token_class: int) -> Iterator[StepEvent]:
        """Yields the events of a special token."""
        state = self._parser.state
        if before in _COMPONENT_OF:
            yield from self._finish_component(_COMPONENT_OF[before])
        if before is GrammarState.ANSWER and (rest := self._reader.rest()):
            yield AnswerDelta(self._sample, rest)
        if state is GrammarState.NAME_START:
            yield StepStarted(self._sample, self._step)
        if before is GrammarState.DECISION and state is not GrammarState.BROKEN:
            self._decision = grammar.DECISION_CLASSES[token_class]
            yield StepFinished(self._sample, self._step, self._decision)
        self._reader = TextReader(self._vocabulary.decode_text)

    def _finish_component(self, component: Component) -> Iterator[StepEvent]:
        if rest := self._reader.rest():
            yield ComponentDelta(self._sample, self._step, component, rest)
        text = self._reader.whole().strip()
        yield ComponentFinished(self._sample, self._step, component, text)
        if component is Component.UNDERSTANDING and self._step == 0 and self._problem is None:
            self._problem = read_problem(text)
        if component is Component.NEXT_STEP:
            texts = StepTexts(text, "", "", "")
            is_root = self._step == 0 and is_reading(texts)
            depth = stated_depth(self._problem, texts)
            position = self._branch.add(depth, self._decision, reading=is_root)
            yield StepPlaced(self._sample, self._step, position.depth, position.parent)


class TextReader:
    """Decodes tokens one by one; holds a character back until all of its bytes are there.

    A token costs the decoding of a few tokens, not of all tokens so far.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._settled, self._read = 0, 0  # ids[settled:read] are decoded again, for their context

    def push(self, token: int) -> str:
        """The text that this token adds."""
        self._ids.append(token)
        text = self.rest()
        if not text or text.endswith("\ufffd"):
            return ""
        self._settled, self._read = self._read, len(self._ids)
        return text

    def rest(self) -> str:
        """The text that has not been returned yet, an incomplete character included."""
        returned = self._decode(self._ids[self._settled : self._read])
        return self._decode(self._ids[self._settled :])[len(returned) :]

    def whole(self) -> str:
        """The whole text."""
        return self._decode(self._ids)
