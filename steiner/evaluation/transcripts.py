"""A few of the model's searches, kept whole to be drawn as trees.

Searches and their Traces -> transcripts.json

For each family, by rule and not by taste: of the right answers with a backtrack, the one whose
number of steps is the middle one; and of the wrong answers likewise, where there are any.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steiner.dags.tracing import Trace, TracedStep
from steiner.evaluation.graded_answers import judge
from steiner.evaluation.model_runner import Search
from steiner.types import Decision, Status, Step, Verdict

LONGEST = 24
"""Most steps of a search that is drawn."""


def pick(stage: str, searches: Sequence[Search], traced: Sequence[Trace]) -> list[dict[str, Any]]:
    """The transcripts to be drawn: up to two a family, first a right one."""
    drawn = []
    families = dict.fromkeys(search.task.problem.family for search in searches)
    pairs = list(zip(searches, traced, strict=True))
    rights = [judge(stage, search.task, search.rollout).right for search in searches]
    for name in families:
        for right in (True, False):
            fitting = [
                pair
                for pair, is_right in zip(pairs, rights, strict=True)
                if is_right is right
                and pair[0].task.problem.family == name
                and _is_drawable(pair[0])
            ]
            fitting.sort(key=lambda pair: len(pair[0].rollout.steps))
            if fitting:
                drawn.append(transcript(stage, *fitting[len(fitting) // 2], right=right))
    return drawn


def _is_drawable(search: Search) -> bool:
    steps = search.rollout.steps
    turned = any(step.decision is Decision.BACKTRACK for step in steps)
    return search.rollout.well_formed and turned and len(steps) <= LONGEST


def transcript(stage: str, search: Search, traced: Trace, *, right: bool) -> dict[str, Any]:
    """One search as JSON: the question, the steps with their place in the tree, the answer."""
    problem, rollout = search.task.problem, search.rollout
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
            _step(step, found, parent)
            for step, found, parent in zip(rollout.steps, traced.steps, parents, strict=True)
        ],
    }


def _step(step: Step, found: TracedStep, parent: int | None) -> dict[str, Any]:
    return {
        "understanding": step.texts.understanding,
        "next_step": step.texts.next_step,
        "verification": step.texts.verification,
        "summary": step.texts.summary,
        "decision": str(step.decision),
        "kind": kind_of(step, found),
        "parent": parent,
        "status": None if found.status is None else str(found.status),
        "faults": _faults(found),
    }


def kind_of(step: Step, found: TracedStep) -> str:
    """How the step is drawn: goal, end, dead, backtrack or proceed.

    dead: turned back from what it verified to be a dead end; backtrack: turned back for another
    reason; end: stopped short of a goal.
    """
    if step.decision is Decision.END:
        return "goal" if found.status is Status.GOAL else "end"
    if step.decision is Decision.BACKTRACK:
        return "dead" if found.verdict is Verdict.DEAD else "backtrack"
    return "proceed"


def _faults(found: TracedStep) -> list[str]:
    faults = {
        "no legal move": not found.legal,
        "miscomputed": found.legal and not found.sound,
        "wrong verification": found.legal and not found.verdict_true,
        "seen before": found.repeated,
    }
    return [name for name, present in faults.items() if present]


def _parents(steps: Sequence[TracedStep]) -> list[int | None]:
    """For each step the index of the step it goes on from; None from the question itself."""
    branch: list[int] = []
    parents: list[int | None] = []
    for index, step in enumerate(steps):
        depth = step.depth if step.depth and step.depth <= len(branch) else len(branch) + 1
        del branch[depth - 1 :]
        parents.append(branch[-1] if branch else None)
        branch.append(index)
    return parents
