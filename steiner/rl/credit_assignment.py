"""Credit assignment: spreads step rewards over the tokens that caused them.

(Rollout, Trace) -> StepTokens;  StepTokens, StepAdvantages -> advantage of each token

Most of a step is copying and arithmetic that follow from its choice. So the choice's advantage goes
to the tokens that name the next step. A fault's cost goes to the first token at which the step
differs from every right step that could stand there; all of them can be written out, because the
DAG has each move and the task words it. The sum over a step equals that of an even spread, so a
step's weight grows with its length, as in the outcome's part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from steiner.dags.tracing import Trace, TracedStep, Tracer
from steiner.format.codec import Codec
from steiner.rl.rewards import StepAdvantage
from steiner.types import Rollout, StepSpan


@dataclass(frozen=True, slots=True)
class StepTokens:
    """Positions in a completion of one step's tokens."""

    choice: range
    """The text that names the next step."""
    fault: int | None
    """The first token that no right step has there; None where all is right, or where a right
    step could not begin."""
    decision: int | None
    written: int
    """How many tokens the step has, its decision not counted."""


def locate(codec: Codec, tracer: Tracer, trace: Trace, rollout: Rollout) -> tuple[StepTokens, ...]:
    """The place of each step of `rollout`, which `trace` is the trace of."""
    return tuple(
        _step_tokens(codec, tracer, step, span, rollout.token_ids)
        for span, step in zip(rollout.spans, trace.steps, strict=True)
    )


def span_tokens(span: StepSpan) -> StepTokens:
    """The place of a step without a fault."""
    is_decided = span.decision is not None
    return StepTokens(
        choice=range(*span.components[0]) if span.components else range(0),
        fault=None,
        decision=span.stop - 1 if is_decided else None,
        written=span.stop - span.start - is_decided,
    )


def _step_tokens(
    codec: Codec, tracer: Tracer, step: TracedStep, span: StepSpan, token_ids: Sequence[int]
) -> StepTokens:
    place = span_tokens(span)
    if step.sound and step.verdict_true:
        return place
    right = _right_tokens(codec, tracer, step, token_ids[span.start : span.start + place.written])
    fault = None if right is None or right == place.written else span.start + right
    return replace(place, fault=fault)


def _right_tokens(
    codec: Codec, tracer: Tracer, step: TracedStep, token_ids: Sequence[int]
) -> int | None:
    """Number of leading tokens that the step shares with the right step that it matches longest;
    None if no right step could start there."""
    return max(
        (_common(token_ids, codec.encode_step(texts)) for texts in tracer.right_steps(step)),
        default=None,
    )


def _common(found: Sequence[int], right: Sequence[int]) -> int:
    """The length of their longest common beginning."""
    pairs = zip(found, right, strict=False)  # of unlike length
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def token_advantages(
    num_tokens: int, places: Sequence[StepTokens], steps: Sequence[StepAdvantage]
) -> list[float]:
    """Step advantage of each token of a completion (T,); 0 outside steps, as in the answer."""
    advantage_T = [0.0] * num_tokens
    for place, step in zip(places, steps, strict=True):
        for position in place.choice:
            advantage_T[position] += step.choice * place.written / len(place.choice)
        if place.fault is not None:
            advantage_T[place.fault] += step.fault * place.written
        if place.decision is not None:
            advantage_T[place.decision] = step.decision
    return advantage_T
