"""The judge of both harnesses: the family's own strict checker, without credit for parts.

(line of held_out.jsonl, answer) -> right or wrong

It needs `steiner` itself and nothing that steiner depends on: `pip install --no-deps -e .`
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from steiner.tasks import Grade, grade, make_problem


def is_right(record: Mapping[str, str], answer: str) -> bool:
    """True if `answer` solves the record's problem and contains nothing else."""
    problem = make_problem(
        record["family"], json.loads(record["spec"]), language=record["language"]
    )
    return grade(problem, answer) is Grade.RIGHT


def process_results(doc: Mapping[str, str], results: Sequence[str]) -> dict[str, float]:
    """The values that lm-evaluation-harness averages: over all problems, and over the family's."""
    right = float(is_right(doc, results[0]))
    return {"accuracy": right, doc["family"]: right}
