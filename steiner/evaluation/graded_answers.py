"""Graded answers: one flat record for each answer of a model.

ItemCompletion -> GradedAnswer;  GradedAnswers <-> graded_answers.parquet
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steiner.dags.tracing import restates
from steiner.evaluation.model_runner import ItemCompletion
from steiner.evaluation.suites import suites
from steiner.files import reason_and_hint, replacing
from steiner.tasks import Grade, task
from steiner.tasks.no_answer import is_reading
from steiner.types import Problem, Step, UserError


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
    """Number of the sample; None for the single completion that accuracy is measured on."""
    right: bool
    well_formed: bool
    answer: str
    steps: int
    tokens: int
    """Completion tokens, answer and format included."""
    mean_logprob: float
    restated: bool | None = None
    """True if the first step restates the question rightly; None without such a step."""


def grade_completion(
    stage: str, completion: ItemCompletion, budget: int | None = None
) -> GradedAnswer:
    """Grades a completion with the grader of its suite.

    A malformed completion is wrong, whatever its answer. A direct answer has no format to break.
    """
    item, rollout = completion.item, completion.rollout
    well_formed = rollout.well_formed or not rollout.steps
    logprobs = rollout.logprobs
    return GradedAnswer(
        stage=stage,
        suite=item.suite,
        family=item.problem.family,
        key=item.problem.key,
        budget=budget,
        sample=completion.sample,
        right=well_formed and suites()[item.suite].grade(item, rollout.answer) is Grade.RIGHT,
        well_formed=well_formed,
        answer=rollout.answer,
        steps=len(rollout.steps),
        tokens=len(rollout.token_ids),
        mean_logprob=sum(logprobs) / max(1, len(logprobs)),
        restated=restates_question(item.problem, rollout.steps),
    )


def restates_question(problem: Problem, steps: Sequence[Step]) -> bool | None:
    """True if the first step restates the problem; None without steps, or without a reader."""
    if not steps or task(problem.family).reader is None:
        return None
    return is_reading(steps[0].texts) and restates(steps[0].texts, problem)


def write_graded_answers(file: Path, answers: Sequence[GradedAnswer]) -> None:
    """Writes them as Parquet; an existing file is replaced only by a complete one."""
    table = pa.Table.from_pylist([asdict(answer) for answer in answers], schema=_SCHEMA)
    with replacing(file) as partial:
        pq.write_table(table, partial)


def read_graded_answers(file: Path) -> list[GradedAnswer]:
    """The GradedAnswers of a graded_answers.parquet, to compare runs problem by problem.

    Raises UserError if the file holds anything else.
    """
    hint = "make it with `steiner eval`"
    try:
        with pq.ParquetFile(file) as opened:
            if not opened.schema_arrow.equals(_SCHEMA):
                raise UserError(f"cannot read answers from {file}: its columns are others", hint)
            return [GradedAnswer(**row) for row in opened.read().to_pylist()]
    except (OSError, pa.ArrowException) as error:
        reason, hint = reason_and_hint(error, hint)
        raise UserError(f"cannot read answers from {file}: {reason}", hint) from error


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
        ("restated", pa.bool_()),
    ]
)
