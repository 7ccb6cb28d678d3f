"""Own questions as a task: which of them are held out, and files with too few."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steiner.evaluation.suites import require_test_problems, suites
from steiner.pipeline import runs
from steiner.questions.task import register_questions
from steiner.recipe import Recipe
from steiner.recipe_file import load_recipe
from steiner.types import Split, UserError, problem_key, split_of


def _rows(split: Split, count: int) -> list[dict[str, str]]:
    """Questions of the task `sums` whose keys are in one split."""
    rows = []
    for number in range(10_000):
        question = f"what is {number} + 1?"
        if split_of(problem_key("sums", question)) is split:
            rows.append({"question": question, "answer": str(number + 1)})
        if len(rows) == count:
            break
    return rows


def _recipe(folder: Path, **files: list[dict[str, str]]) -> Recipe:
    settings = ["questions.name=sums", "questions.grader=number"]
    for key, rows in files.items():
        (folder / f"{key}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        settings.append(f"questions.{key}={json.dumps(str(folder / key) + '.jsonl')}")
    recipe = load_recipe("questions", settings)
    register_questions(recipe)
    return recipe


def _keys(suite: str, recipe: Recipe) -> set[str]:
    return {item.problem.key for item in suites()[suite].items(recipe)}


def test_a_run_needs_a_test_question_before_it_starts(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, source=_rows(Split.TRAIN, 20))
    with pytest.raises(UserError, match="task 'sums' has no test problem") as raised:
        runs.run(recipe, tmp_path / "run")
    assert "questions.test" in raised.value.hint
    assert not (tmp_path / "run").exists()


def test_a_test_file_is_enough(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path, source=_rows(Split.TRAIN, 20), test=_rows(Split.VALIDATION, 3))
    require_test_problems(recipe)
    assert len(_keys("test", recipe)) == 3
    assert not _keys("validation", recipe)


def test_a_suite_without_a_source_has_no_validation_questions(tmp_path: Path) -> None:
    rows = [*_rows(Split.VALIDATION, 5), *_rows(Split.TEST, 5)]
    recipe = _recipe(tmp_path, test=rows)
    assert len(_keys("test", recipe)) == 10
    assert not _keys("validation", recipe)
