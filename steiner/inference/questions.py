"""Questions and their options, checked and turned into what the engine takes.

question -> messages;  samples and temperature -> Samplings
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypedDict

from steiner.inference.sampling import Sampling
from steiner.randomness import random_stream
from steiner.types import Message, Problem, UserError

SAMPLES_TEMPERATURE = 0.7
"""Temperature of several samples if neither the caller nor the model sets one."""

_GREEDY = Sampling()
QuestionInput = str | Sequence[Message | Mapping[str, str]]
"""One turn, or a dialogue whose last turn is the user's."""


class SolveOptions(TypedDict, total=False):
    """The keyword arguments of `Reasoner.solve`; `Reasoner.prepare` has their defaults."""

    min_steps: int
    """Fewest reasoning steps; limits of tokens come first."""
    max_steps: int | None
    """Most reasoning steps; wins over `effort`, and contradicts the effort "none"."""
    max_tokens: int | None
    """Tokens of the whole completion; the room in the context by default."""
    effort: str | None
    """A step limit by name, one of EFFORT_STEPS; "none" for the shortest reasoning."""
    samples: int
    """Number of samples; the majority's answer is returned."""
    temperature: float | None
    """The model's own (generation_config.json) by default. Without that it is 0 for one sample, and
    SAMPLES_TEMPERATURE for several."""
    seed: int
    """Decides everything random."""
    problem: Problem | None
    """The problem that the question states, if the caller knows it: its task grades the answer. By
    default it is the one that the model's first step reads."""


def samplings(
    samples: int, temperature: float | None, seed: int, own: Sampling = _GREEDY
) -> list[Sampling]:
    """The Sampling of each sample, with a random stream of its own.

    The model's `own` sampling holds where no temperature is given. The first of several samples is
    the one that would be drawn alone. Raises UserError if the samples could not differ.
    """
    if not samples >= 1:
        raise UserError(f"samples is {samples}", "give 1 or more")
    if temperature is None:
        temperature = own.temperature or (0.0 if samples == 1 else SAMPLES_TEMPERATURE)
    if samples > 1 and temperature == 0:
        raise UserError(
            f"{samples} samples at temperature 0 would all be the same",
            "give a temperature above 0, or one sample",
        )
    streams = (random_stream("reasoner", "samples", seed, sample) for sample in range(samples))
    drawn = replace(own, temperature=temperature)
    return [replace(drawn, seed=stream.getrandbits(31)) for stream in streams]


def as_messages(question: QuestionInput) -> tuple[Message, ...]:
    """The question as a dialogue. Raises UserError if it is not one."""
    if isinstance(question, str):
        question = [Message("user", question)]
    messages = tuple(map(_as_message, question))
    if not messages or messages[-1].role != "user":
        raise UserError("the dialogue does not end with a user's turn", "add the question to it")
    if not messages[-1].content.strip():
        raise UserError("the question is empty", "for example: Make 24 from 3, 5, 7, 9.")
    return messages


def _as_message(turn: Message | Mapping[str, str]) -> Message:
    message = turn if isinstance(turn, Message) else Message(turn["role"], turn["content"])
    if message.role not in ("system", "user", "assistant"):
        raise UserError(f"unknown role '{message.role}'", "one of: system, user, assistant")
    return message
