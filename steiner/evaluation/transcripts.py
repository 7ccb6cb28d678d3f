"""Transcripts: a few complete searches for the report to draw as trees.

Completions and their Traces -> transcripts.json

They are selected by a fixed rule. In each family, of the right answers that backtrack, the one with
the median number of steps; and likewise of the wrong answers, if there are any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steiner.dags.tracing import Trace, TracedStep
from steiner.evaluation.graded_answers import grade_completion
from steiner.evaluation.model_runner import ItemCompletion
from steiner.types import Decision, Status, Step, Verdict

MAX_STEPS = 24
"""Limit of a search that is drawn."""


def select_transcripts(
    stage: str, completions: Sequence[ItemCompletion], traced: Sequence[Trace]
) -> list[dict[str, Any]]:
    """The transcripts to draw: up to two for each family, a right one first."""
    rights = [grade_completion(stage, completion).right for completion in completions]
    drawn = []
    for name in dict.fromkeys(completion.item.problem.family for completion in completions):
        for wanted in (True, False):
            candidates = [
                (completion, trace)
                for completion, trace, right in zip(completions, traced, rights, strict=True)
                if right is wanted
                and completion.item.problem.family == name
                and _is_drawable(completion)
            ]
            candidates.sort(key=lambda pair: len(pair[0].rollout.steps))
            if candidates:
                median = candidates[len(candidates) // 2]
                drawn.append(transcript(stage, *median, right=wanted))
    return drawn


def _is_drawable(completion: ItemCompletion) -> bool:
    steps = completion.rollout.steps
    backtracks = any(step.decision is Decision.BACKTRACK for step in steps)
    return completion.rollout.well_formed and backtracks and len(steps) <= MAX_STEPS


def transcript(
    stage: str, completion: ItemCompletion, traced: Trace, *, right: bool
) -> dict[str, Any]:
    """One search as JSON: the question, the steps with their parents in the tree, the answer."""
    problem, rollout = completion.item.problem, completion.rollout
    parents = _parents(traced.steps)
    return {
        "stage": stage,
        "family": problem.family,
        "level": problem.level,
        "key": problem.key,
        "question": problem.question,
        "answer": rollout.answer,
        "right": right,
        "tokens": len(rollout.token_ids),
        "steps": [
            _step(*parts) for parts in zip(rollout.steps, traced.steps, parents, strict=True)
        ],
    }


def _step(step: Step, traced: TracedStep, parent: int | None) -> dict[str, Any]:
    return {
        "understanding": step.texts.understanding,
        "next_step": step.texts.next_step,
        "verification": step.texts.verification,
        "summary": step.texts.summary,
        "decision": str(step.decision),
        "kind": step_kind(step, traced),
        "parent": parent,
        "status": None if traced.status is None else str(traced.status),
        "faults": _faults(traced),
    }


def step_kind(step: Step, traced: TracedStep) -> str:
    """The step's style: goal, end, dead, backtrack or proceed.

    dead: the step verified a dead end and backtracked. backtrack: it backtracked for another
    reason. end: it ended without a goal.
    """
    if step.decision is Decision.END:
        return "goal" if traced.status is Status.GOAL else "end"
    if step.decision is Decision.BACKTRACK:
        return "dead" if traced.verdict is Verdict.DEAD else "backtrack"
    return "proceed"


def _faults(traced: TracedStep) -> list[str]:
    faults = {
        "no legal move": not traced.legal,
        "misread": traced.depth == 0 and traced.legal and not traced.sound,
        "miscomputed": traced.depth != 0 and traced.legal and not traced.sound,
        "wrong verification": traced.legal and not traced.verdict_true,
        "seen before": traced.repeated,
    }
    return [name for name, present in faults.items() if present]


def _parents(steps: Sequence[TracedStep]) -> list[int | None]:
    """The index of each step's parent step; None for the first, which reads the question."""
    branch: list[int] = []
    parents: list[int | None] = []
    for index, step in enumerate(steps):
        depth = step.depth if index and step.depth and step.depth <= len(branch) else len(branch)
        del branch[depth:]
        parents.append(branch[-1] if branch else None)
        branch.append(index)
    return parents
