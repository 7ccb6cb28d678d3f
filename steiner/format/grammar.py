"""The reasoning format: 14 special tokens and the grammar that orders them.

    reasoning := start step ((proceed | backtrack) step)* end answer
    step      := step_start name thought summary reflection step_end

The grammar is a finite automaton over token classes, so that the parser, the decoder's mask and the
reward all follow the one table below. Token names are those of the released Steiner model
(peakji/steiner-32b-preview), so that its checkpoints work here unchanged. What differs from its
logits processor: the choice between proceed and backtrack always stays with the model.

token ids <-> grammar states;  token ids -> Steps and answer
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from steiner.types import Decision, StepSpan, StepTexts

START = "<|reasoning_start|>"
END = "<|reasoning_end|>"
PROCEED = "<|reasoning_proceed|>"
BACKTRACK = "<|reasoning_backtrack|>"
STEP_START = "<|reasoning_step_start|>"
STEP_END = "<|reasoning_step_end|>"
COMPONENTS = ("name", "thought", "summary", "reflection")
"""Token names of next step, current understanding, summary and verification, in written order."""

SPECIAL_TOKENS: tuple[str, ...] = (
    START,
    END,
    PROCEED,
    BACKTRACK,
    STEP_START,
    STEP_END,
    *(f"<|reasoning_step_{name}_{edge}|>" for name in COMPONENTS for edge in ("start", "end")),
)
"""The 14 reasoning tokens; their index here is their token class."""

TEXT = 14
"""Token class of every ordinary token."""
CLOSE = 15
"""Token class of the token that closes the assistant's turn."""
OTHER = 16
"""Token class of all other special tokens (padding, role markers): never allowed."""
NUM_CLASSES = 17


class GrammarState(IntEnum):
    """Where in the format the next token stands."""

    BEGIN = 0
    STEP = 1
    NAME_START = 2
    NAME = 3
    THOUGHT_START = 4
    THOUGHT = 5
    SUMMARY_START = 6
    SUMMARY = 7
    REFLECTION_START = 8
    REFLECTION = 9
    STEP_END = 10
    DECISION = 11
    ANSWER = 12
    DONE = 13
    BROKEN = 14


def _transitions() -> tuple[tuple[int, ...], ...]:
    table = [[int(GrammarState.BROKEN)] * NUM_CLASSES for _ in GrammarState]
    skeleton = [START, STEP_START]
    for name in COMPONENTS:
        skeleton += [f"<|reasoning_step_{name}_start|>", f"<|reasoning_step_{name}_end|>"]
    skeleton.append(STEP_END)
    for state, token in enumerate(skeleton):
        table[state][SPECIAL_TOKENS.index(token)] = state + 1
    text_states = (
        GrammarState.NAME,
        GrammarState.THOUGHT,
        GrammarState.SUMMARY,
        GrammarState.REFLECTION,
        GrammarState.ANSWER,
    )
    for state in text_states:
        table[state][TEXT] = state
    table[GrammarState.DECISION][SPECIAL_TOKENS.index(PROCEED)] = GrammarState.STEP
    table[GrammarState.DECISION][SPECIAL_TOKENS.index(BACKTRACK)] = GrammarState.STEP
    table[GrammarState.DECISION][SPECIAL_TOKENS.index(END)] = GrammarState.ANSWER
    table[GrammarState.ANSWER][CLOSE] = GrammarState.DONE
    return tuple(map(tuple, table))


TRANSITIONS = _transitions()
"""`TRANSITIONS[state][token class]` is the next state; BROKEN where the class is not allowed."""

DECISION_CLASSES = {
    SPECIAL_TOKENS.index(PROCEED): Decision.PROCEED,
    SPECIAL_TOKENS.index(BACKTRACK): Decision.BACKTRACK,
    SPECIAL_TOKENS.index(END): Decision.END,
}


@dataclass(frozen=True, slots=True)
class Parse:
    """A completion read by the grammar."""

    state: GrammarState
    """State after the last token; DONE where the completion is whole, BROKEN where it is none."""
    spans: tuple[StepSpan, ...]
    answer: tuple[int, int] | None
    """[start, stop) of the answer's tokens; None where none was begun."""


def parse(classes: Sequence[int]) -> Parse:
    """Reads a completion's token classes; stops at the first token that breaks the grammar."""
    state = GrammarState.BEGIN
    spans: list[StepSpan] = []
    step_start, text_start, answer_start = 0, 0, None
    components: list[tuple[int, int]] = []
    length = len(classes)
    for position, token_class in enumerate(classes):
        before, state = state, GrammarState(TRANSITIONS[state][token_class])
        if state is GrammarState.BROKEN:
            length = position
            break
        if state is GrammarState.NAME_START:
            step_start, components = position, []
        if state in _TEXT_STATES and state is not before:
            text_start = position + 1
        if before in _TEXT_STATES and state is not before and before is not GrammarState.ANSWER:
            components.append((text_start, position))
        if before is GrammarState.DECISION:
            decision = DECISION_CLASSES[token_class]
            spans.append(StepSpan(step_start, position + 1, tuple(components), decision))
        if state is GrammarState.ANSWER and answer_start is None:
            answer_start = position + 1
    if GrammarState.NAME_START <= state <= GrammarState.DECISION:
        spans.append(StepSpan(step_start, length, tuple(components), None))
    stop = length - 1 if state is GrammarState.DONE else length
    return Parse(state, tuple(spans), None if answer_start is None else (answer_start, stop))


_TEXT_STATES = frozenset(
    {
        GrammarState.NAME,
        GrammarState.THOUGHT,
        GrammarState.SUMMARY,
        GrammarState.REFLECTION,
        GrammarState.ANSWER,
    }
)


def texts_of(components: Sequence[str]) -> StepTexts:
    """StepTexts of a step's decoded components, in written order; missing ones are empty."""
    name, thought, summary, reflection = [*components, "", "", "", ""][:4]
    return StepTexts(
        next_step=name, understanding=thought, summary=summary, verification=reflection
    )
