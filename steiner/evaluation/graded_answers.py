"""What became of each problem: one flat record for each answer that a model gave.

(Task, Rollout) -> GradedAnswer;  Outcomes <-> outcomes.parquet
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steiner.evaluation.suites import Task, suites
from steiner.files import replacing
from steiner.types import Rollout


@dataclass(frozen=True, slots=True)
class GradedAnswer:
    """One answer to one problem."""

    stage: str
    suite: str
    family: str
    key: str
    budget: int | None
    """max_steps; None without a step budget."""
    sample: int | None
    """Number of the sample; None for the one search or answer that counts by itself."""
    right: bool
    well_formed: bool
    answer: str
    steps: int
    tokens: int
    """Tokens written, answer and format included."""
    mean_logprob: float


def judge(
    stage: str, task: Task, rollout: Rollout, budget: int | None = None, sample: int | None = None
) -> GradedAnswer:
    """The GradedAnswer of a rollout, by the judge of the task's suite.

    What is malformed is wrong, whatever it says; a direct answer has no form to break.
    """
    well_formed = rollout.well_formed or not rollout.steps
    logprobs = rollout.logprobs
    return GradedAnswer(
        stage=stage,
        suite=task.suite,
        family=task.problem.family,
        key=task.problem.key,
        budget=budget,
        sample=sample,
        right=well_formed and suites()[task.suite].is_right(task, rollout.answer),
        well_formed=well_formed,
        answer=rollout.answer,
        steps=len(rollout.steps),
        tokens=len(rollout.token_ids),
        mean_logprob=sum(logprobs) / max(1, len(logprobs)),
    )


def write_graded_answers(file: Path, outcomes: Sequence[GradedAnswer]) -> None:
    """Write them as Parquet, whole or not at all."""
    table = pa.Table.from_pylist([asdict(outcome) for outcome in outcomes], schema=_SCHEMA)
    with replacing(file) as partial:
        pq.write_table(table, partial)


def read_graded_answers(file: Path) -> list[GradedAnswer]:
    """The Outcomes of an outcomes.parquet, for differences between runs."""
    return [GradedAnswer(**row) for row in pq.read_table(file, schema=_SCHEMA).to_pylist()]


_SCHEMA = pa.schema(
    [
        ("stage", pa.string()),
        ("suite", pa.string()),
        ("family", pa.string()),
        ("key", pa.string()),
        ("budget", pa.int32()),
        ("sample", pa.int32()),
        ("right", pa.bool_()),
        ("well_formed", pa.bool_()),
        ("answer", pa.string()),
        ("steps", pa.int32()),
        ("tokens", pa.int32()),
        ("mean_logprob", pa.float64()),
    ]
)
