"""Answers and events as JSON objects, for other programs.

Answer, ReasoningEvent -> JSON objects
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from steiner.inference.answer import Answer, Finished, ReasoningEvent
from steiner.inference.step_events import SampleFinished
from steiner.types import Rollout

_EVENT_NAMES = {
    "StepStarted": "step_started",
    "ComponentDelta": "component_delta",
    "ComponentFinished": "component_finished",
    "StepPlaced": "step_placed",
    "StepFinished": "step_finished",
    "AnswerDelta": "answer_delta",
}


def answer_json(answer: Answer) -> dict[str, Any]:
    """The answer, its steps with their places in the tree, and its usage."""
    return {
        "answer": answer.text,
        "accepted": answer.accepted,
        "misread": answer.is_misread,
        "family": None if answer.problem is None else answer.problem.family,
        "stop_reason": answer.stop_reason.value,
        "steps": [
            {
                **asdict(step.texts),
                "decision": step.decision.value,
                "depth": node.depth,
                "parent": node.parent,
                "mark": node.mark.value,
            }
            for step, node in zip(answer.steps, answer.tree.nodes, strict=True)
        ],
        "usage": {**asdict(answer.usage), "total_tokens": answer.usage.total_tokens},
        "votes": [asdict(vote) for vote in answer.votes],
    }


def event_json(event: ReasoningEvent) -> dict[str, Any]:
    """The event, with its kind as "event"."""
    if isinstance(event, Finished):
        return {"event": "finished", **answer_json(event.answer)}
    if isinstance(event, SampleFinished):
        return {"event": "sample_finished", "sample": event.sample, **_rollout(event.rollout)}
    return {"event": _EVENT_NAMES[type(event).__name__], **asdict(event)}


def _rollout(rollout: Rollout) -> dict[str, Any]:
    return {
        "answer": rollout.answer,
        "num_steps": len(rollout.steps),
        "stop_reason": rollout.stop_reason.value,
    }
