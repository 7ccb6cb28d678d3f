"""Inspect: Steiner's held-out problems, judged by Steiner's own strict checker.

held_out.jsonl -> Samples;  answer -> correct or incorrect

    inspect eval harnesses/steiner_inspect.py --model openai-api/steiner/steiner --temperature 0

with STEINER_BASE_URL and STEINER_API_KEY set (docs/evaluation.md). Inspect keeps the reasoning
apart from the answer; only the answer is judged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import Sample, json_dataset
from inspect_ai.scorer import (
    CORRECT,
    INCORRECT,
    Score,
    Scorer,
    Target,
    accuracy,
    grouped,
    scorer,
    stderr,
)
from inspect_ai.solver import TaskState, generate
from judge import is_right  # Inspect imports from the task's own folder

_FILE = Path(__file__).with_name("held_out.jsonl")


@task
def steiner_held_out() -> Task:
    """All problems of the file, each asked in one turn."""
    return Task(dataset=json_dataset(str(_FILE), _sample), solver=generate(), scorer=strict())


def _sample(record: dict[str, Any]) -> Sample:
    """The whole line travels as metadata, for the judge and for the table by family."""
    return Sample(id=record["key"], input=record["question"], metadata=record)


@scorer(metrics=[grouped(accuracy(), "family"), stderr()])
def strict() -> Scorer:
    """Steiner's checker; the mean over all problems is called "all"."""

    async def score(state: TaskState, target: Target) -> Score:
        answer = state.output.completion
        right = is_right(state.metadata, answer)
        return Score(value=CORRECT if right else INCORRECT, answer=answer)

    return score
