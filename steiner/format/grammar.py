"""The reasoning format: 14 special tokens, and the grammar that orders them.

    reasoning := start step ((proceed | backtrack) step)* end answer
    step      := step_start name thought summary reflection step_end

The grammar is a finite automaton over token classes. The parser, the decoder's mask and the reward
all use its one table, TRANSITIONS. The tokens have the names of the released Steiner model
(peakji/steiner-32b-preview), so that its checkpoints work unchanged. Unlike that model's logits
processor, the mask never chooses between proceed and backtrack; it is in inference/budget.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from steiner.types import Decision, StepTexts

START = "<|reasoning_start|>"
END = "<|reasoning_end|>"
PROCEED = "<|reasoning_proceed|>"
BACKTRACK = "<|reasoning_backtrack|>"
STEP_START = "<|reasoning_step_start|>"
STEP_END = "<|reasoning_step_end|>"
COMPONENTS = ("name", "thought", "summary", "reflection")
"""Token names of next step, current understanding, summary and verification, in this order."""

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
    """Position in the format: it decides which token classes may come next."""

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


TEXT_STATES = frozenset(
    {
        GrammarState.NAME,
        GrammarState.THOUGHT,
        GrammarState.SUMMARY,
        GrammarState.REFLECTION,
        GrammarState.ANSWER,
    }
)
"""States in which text is written: the four components and the answer."""


def _transitions() -> tuple[tuple[int, ...], ...]:
    table = [[int(GrammarState.BROKEN)] * NUM_CLASSES for _ in GrammarState]
    skeleton = [START, STEP_START]
    for name in COMPONENTS:
        skeleton += [f"<|reasoning_step_{name}_start|>", f"<|reasoning_step_{name}_end|>"]
    skeleton.append(STEP_END)
    for state, token in enumerate(skeleton):
        table[state][SPECIAL_TOKENS.index(token)] = state + 1
    for text_state in TEXT_STATES:
        table[text_state][TEXT] = text_state
    table[GrammarState.DECISION][SPECIAL_TOKENS.index(PROCEED)] = GrammarState.STEP
    table[GrammarState.DECISION][SPECIAL_TOKENS.index(BACKTRACK)] = GrammarState.STEP
    table[GrammarState.DECISION][SPECIAL_TOKENS.index(END)] = GrammarState.ANSWER
    table[GrammarState.ANSWER][CLOSE] = GrammarState.DONE
    return tuple(map(tuple, table))


TRANSITIONS = _transitions()
"""`TRANSITIONS[state][token class]` is the next state; BROKEN if the class is not allowed."""

DECISION_CLASSES = {
    SPECIAL_TOKENS.index(PROCEED): Decision.PROCEED,
    SPECIAL_TOKENS.index(BACKTRACK): Decision.BACKTRACK,
    SPECIAL_TOKENS.index(END): Decision.END,
}


def texts_of(components: Sequence[str]) -> StepTexts:
    """The StepTexts of decoded components, in the order of COMPONENTS; missing ones are empty."""
    name, thought, summary, reflection = [*components, "", "", "", ""][:4]
    return StepTexts(
        next_step=name, understanding=thought, summary=summary, verification=reflection
    )
