"""The free-form questions: how many a model answers rightly, and how many it restates rightly.

    python -m benchmarks.typed_questions development --model runs/tiny/rl

benchmarks/questions/*.jsonl, model -> a table on stdout

Opened once in a training campaign: the test half (benchmarks/questions/README.md).
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steiner.dags.tracing import restates
from steiner.evaluation.statistics import mean_of, proportion
from steiner.inference.answer import Answer
from steiner.inference.reasoner import Reasoner
from steiner.recipe import SHIPPED_REASONER
from steiner.tasks import Grade, grade
from steiner.tasks.no_answer import NoAnswer, declined
from steiner.types import Message, Problem

_QUESTIONS = Path(__file__).parent / "questions"


def main(arguments: Sequence[str] | None = None) -> None:
    """Asks every question once and prints the shares with 95 % intervals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("half", choices=["development", "test"])
    parser.add_argument("--model", default=str(SHIPPED_REASONER))
    parser.add_argument("--max-steps", type=int, default=32)
    options = parser.parse_args(arguments)
    with (_QUESTIONS / f"{options.half}.jsonl").open(encoding="utf-8") as lines:
        records = list(map(json.loads, lines))
    reasoner = Reasoner.load(options.model)
    asked = [reasoner.prepare(r["question"], max_steps=options.max_steps) for r in records]
    answers = dict(reasoner.solve_batch(asked))
    right: dict[str, list[bool]] = defaultdict(list)
    restated: dict[str, list[bool]] = defaultdict(list)
    for index, record in enumerate(records):
        _count(record, answers[index], right, restated)
    for name, values in right.items():
        _print(name, "right", values)
        if name in restated:
            _print(name, "restated", restated[name])
    for title, found in (("right", right), ("restated", restated)):
        families = [proportion(found[name]) for name in restated]
        mean = mean_of(families)
        print(f"mean of the families, {title}: {_shown(mean.value, mean.low, mean.high)}")


def _count(
    record: Mapping[str, Any],
    answer: Answer,
    right: dict[str, list[bool]],
    restated: dict[str, list[bool]],
) -> None:
    spec = dict(record["spec"])
    if "no_answer" in spec:
        reason = NoAnswer(spec["no_answer"])
        right[f"no answer: {reason}"].append(declined(answer.text) is reason)
        return
    if "numbers" in spec:
        spec["numbers"] = sorted(spec["numbers"], reverse=True)
    message = Message("user", record["question"])
    problem = Problem(record["family"], "", 0, "en", (message,), spec)
    right[problem.family].append(grade(problem, answer.text) is Grade.RIGHT)
    first = answer.steps[0].texts if answer.steps else None
    restated[problem.family].append(first is not None and restates(first, problem))


def _print(name: str, title: str, values: Sequence[bool]) -> None:
    share = proportion(values)
    shown = _shown(share.value, share.low, share.high)
    print(f"{name:24}{title:10}{shown:28}{sum(values)} of {len(values)}")


def _shown(value: float, low: float, high: float) -> str:
    return f"{100 * value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


if __name__ == "__main__":
    main()
