"""The main suite's problems as a file that other harnesses read.

Recipe -> held_out.jsonl, one problem a line

    python -m harnesses.held_out     # the tiny recipe's first 50 problems a family, as committed

They are the problems that `steiner eval` asks first, of the test split and in voices that are not
in training. Families take turns, so that the first few lines (`--limit 8`) have all of them. A
problem's spec is JSON within JSON: families' specs differ, and readers such as `datasets` want the
same fields in each line.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from steiner.evaluation.suites import EvalItem, suites
from steiner.files import write_text
from steiner.recipe import Recipe
from steiner.recipe_file import load_recipe
from steiner.types import Message, Problem, SteinerError

FILE = Path(__file__).with_name("held_out.jsonl")
PER_FAMILY = 50


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser("python -m harnesses.held_out", description=__doc__)
    parser.add_argument("--recipe", default="tiny", metavar="NAME|FILE")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE")
    parser.add_argument("--per-family", type=int, default=PER_FAMILY, metavar="N")
    parser.add_argument("--out", type=Path, default=FILE, metavar="FILE")
    options = parser.parse_args()
    try:
        recipe = load_recipe(options.recipe, options.overrides)
        problems = list(held_out(recipe, options.per_family))
    except SteinerError as error:
        sys.exit(f"error: {error}\nhint: {error.hint}")
    lines = [json.dumps(record(problem), ensure_ascii=False) for problem in problems]
    write_text(options.out, "\n".join(lines) + "\n")
    print(f"{len(lines)} problems in {options.out}")


def held_out(recipe: Recipe, per_family: int) -> Iterator[Problem]:
    """The first problems of the main suite, families taking turns."""
    waiting: dict[str, list[EvalItem]] = {}
    for item in suites()["test"].items(recipe, per_family):
        waiting.setdefault(item.problem.family, []).append(item)
    for turn in range(per_family):
        yield from (items[turn].problem for items in waiting.values() if turn < len(items))


def record(problem: Problem) -> dict[str, Any]:
    """A problem as a line of the file; what judge.py needs is in it."""
    return {
        "key": problem.key,
        "family": problem.family,
        "level": problem.level,
        "language": problem.language,
        "voice": problem.voice,
        "question": problem.question,
        "spec": json.dumps(problem.spec, ensure_ascii=False),
    }


def problem_of(record: Mapping[str, Any]) -> Problem:
    """The problem of a line of the file."""
    return Problem(
        family=record["family"],
        key=record["key"],
        level=record["level"],
        language=record["language"],
        messages=(Message("user", record["question"]),),
        spec=json.loads(record["spec"]),
        voice=record["voice"],
    )


def read_held_out() -> list[dict[str, Any]]:
    """The lines of the committed file."""
    with FILE.open(encoding="utf-8") as lines:
        return list(map(json.loads, lines))


if __name__ == "__main__":
    main()
