"""The parser of the reasoning format: reads a completion token by token.

token classes -> grammar states, step spans, the answer's span

The only place in which a completion is parsed: the codec, the step events, the server and vLLM's
reasoning parser all use GrammarParser. It reads token classes, never decoded text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from steiner.format.grammar import DECISION_CLASSES, TEXT_STATES, TRANSITIONS, GrammarState
from steiner.types import Decision, StepSpan


@dataclass(frozen=True, slots=True)
class Parse:
    """A parsed completion."""

    state: GrammarState
    """State after the last token: DONE for a whole completion, BROKEN for an invalid one."""
    spans: tuple[StepSpan, ...]
    answer: tuple[int, int] | None
    """[start, stop) of the answer's tokens; None if there is no answer yet."""


class GrammarParser:
    """Parses one completion as its tokens arrive; stops at the first token that is not allowed."""

    def __init__(self) -> None:
        self.state = GrammarState.BEGIN
        self.num_steps = 0
        """Steps that have begun."""
        self._num_tokens = 0
        self._spans: list[StepSpan] = []
        self._components: list[tuple[int, int]] = []
        self._step_start = self._text_start = 0
        self._answer_start: int | None = None

    def allows(self, token_class: int) -> bool:
        """True if a token of this class may come next."""
        return TRANSITIONS[self.state][token_class] != GrammarState.BROKEN

    def feed(self, token_class: int) -> GrammarState:
        """Reads one token; returns the state after it."""
        before, position = self.state, self._num_tokens
        self.state = GrammarState(TRANSITIONS[before][token_class])
        if self.state is GrammarState.BROKEN:
            return self.state
        self._num_tokens += 1
        if self.state is GrammarState.NAME_START:
            self._begin_step(position)
        if self.state is not before:
            self._change_text(before, position)
        if before is GrammarState.DECISION:
            self._end_step(DECISION_CLASSES[token_class])
        return self.state

    def _begin_step(self, position: int) -> None:
        self.num_steps += 1
        self._step_start, self._components = position, []

    def _change_text(self, before: GrammarState, position: int) -> None:
        """Notes the end of one text and the start of another."""
        if before in TEXT_STATES and before is not GrammarState.ANSWER:
            self._components.append((self._text_start, position))
        if self.state in TEXT_STATES:
            self._text_start = position + 1
        if self.state is GrammarState.ANSWER:
            self._answer_start = position + 1

    def _end_step(self, decision: Decision | None) -> None:
        components = tuple(self._components)
        self._spans.append(StepSpan(self._step_start, self._num_tokens, components, decision))

    def result(self) -> Parse:
        """The parse of the tokens so far. An unfinished step has a span without a decision."""
        spans = tuple(self._spans)
        if GrammarState.NAME_START <= self.state <= GrammarState.DECISION:
            span = StepSpan(self._step_start, self._num_tokens, tuple(self._components), None)
            spans = (*spans, span)
        if self._answer_start is None:
            return Parse(self.state, spans, None)
        stop = self._num_tokens - (self.state is GrammarState.DONE)
        return Parse(self.state, spans, (self._answer_start, stop))


def parse(classes: Iterable[int]) -> Parse:
    """Parses a completion's token classes."""
    parser = GrammarParser()
    for token_class in classes:
        if parser.feed(token_class) is GrammarState.BROKEN:
            break
    return parser.result()


def grammar_states(classes: Sequence[int]) -> list[GrammarState]:
    """The state in which each token is chosen; BROKEN after a token that is not allowed."""
    states = []
    state = GrammarState.BEGIN
    for token_class in classes:
        states.append(state)
        state = GrammarState(TRANSITIONS[state][token_class])
    return states
