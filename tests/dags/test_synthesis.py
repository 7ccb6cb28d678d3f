"""`steiner synth`: the data do not depend on the workers, and the manifest tells what is there."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import pyarrow.parquet as pq
import pytest

from steiner.dags import synthesis as synth
from steiner.dags.solver import build_dag
from steiner.dags.source import SolverDagSource
from steiner.dags.store import read_paths, state_from_json
from steiner.dags.synthesis import synthesise
from steiner.recipe import ProblemsRecipe, Recipe, SynthRecipe
from steiner.tasks.no_answer import NoAnswer, no_answer
from steiner.tasks.question_grammar import load_grammar
from steiner.types import Problem, Split, UserError, split_of
from tests.puzzles import PUZZLES, is_right, puzzle

RECIPE = Recipe(
    name="test",
    problems=ProblemsRecipe(levels=dict.fromkeys(PUZZLES, 1)),
    synth=SynthRecipe(
        dags=42,
        paths=100,
        explore=0.6,
        cut=0.2,
        max_tokens=9999,
        workers=1,
        unanswerable=0.0,
        dialogues=0.0,
        system_prompts=0.0,
    ),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    return _made(RECIPE, tmp_path_factory.mktemp("synth"))


def _made(recipe: Recipe, folder: FilePath) -> FilePath:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synth, "BLOCK", 10)
        return synthesise(recipe, folder)


def _rows(folder: FilePath, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / f"{name}.parquet").to_pylist()
    return rows


def _manifest(folder: FilePath) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return manifest


def test_manifest_counts_what_is_in_the_files(folder: FilePath) -> None:
    dags, paths, counts = _rows(folder, "dags"), _rows(folder, "paths"), _manifest(folder)["counts"]
    steps = [step for path in paths for step in path["steps"]]
    by_family = Counter(path["family"] for path in paths)
    assert counts == {
        "dags": 42,
        "nodes": sum(len(dag["nodes"]) for dag in dags),
        "edges": sum(len(dag["edges"]) for dag in dags),
        "shared nodes": sum(node["in_degree"] > 1 for dag in dags for node in dag["nodes"]),
        "paths": 100,
        "steps": len(steps),
        "backtracks": sum(step["decision"] == "backtrack" for step in steps),
        "truncated": sum(path["truncated"] for path in paths),
        **{f"paths: {name}": by_family[name] for name in PUZZLES},
        "distinct problems": len({(dag["family"], dag["key"]) for dag in dags}),
        **{
            f"distinct problems: {name}": len({d["key"] for d in dags if d["family"] == name})
            for name in PUZZLES
        },
    } | {name: count for name, count in counts.items() if name.startswith("problems drawn")}
    assert counts["problems drawn"] == sum(counts[f"problems drawn: {name}"] for name in PUZZLES)


def test_draws_count_isomorphic_repeats(tmp_path: FilePath) -> None:
    """Three persons make 224 problems up to renaming, so many draws repeat an earlier one."""
    recipe = replace(
        RECIPE,
        problems=ProblemsRecipe({"knights_knaves": 1}),
        synth=replace(RECIPE.synth, dags=150, paths=150, max_steps=6),
    )
    synthesise(recipe, tmp_path)
    counts = _manifest(tmp_path)["counts"]
    assert 40 < counts["distinct problems"] < 130
    assert counts["problems drawn"] == counts["dags"] == 150


def test_files_have_problems_and_paths(folder: FilePath) -> None:
    dags, paths, counts = _rows(folder, "dags"), _rows(folder, "paths"), _manifest(folder)["counts"]
    assert (len(dags), len(paths)) == (42, 100)
    assert 0 < counts["truncated"] < 100
    assert counts["backtracks"] > 0
    assert counts["shared nodes"] > 0


def test_problems_and_paths_are_spread_over_families(folder: FilePath) -> None:
    dags, paths = _rows(folder, "dags"), _rows(folder, "paths")
    # 42 problems of 4 families in turn: 11, 11, 10, 10.
    assert sorted(Counter(dag["family"] for dag in dags).values()) == [10, 10, 11, 11]
    assert list(Counter(path["family"] for path in paths).values()) == [25] * 4


def test_a_family_with_few_problems_repeats_them_in_other_words(tmp_path: FilePath) -> None:
    """Level 1 of knights and knaves has 224 problems, of which 199 are for training."""
    levels = {"knights_knaves": 1, "countdown": 2}
    recipe = replace(
        RECIPE,
        problems=ProblemsRecipe(levels),
        synth=replace(RECIPE.synth, dags=600, paths=600, max_steps=6),
    )
    synthesise(recipe, tmp_path)
    dags = Counter(dag["family"] for dag in _rows(tmp_path, "dags"))
    assert dict(dags) == {"knights_knaves": 300, "countdown": 300}
    paths = Counter(path["family"] for path in _rows(tmp_path, "paths"))
    assert dict(paths) == {"knights_knaves": 300, "countdown": 300}


def test_a_share_of_problems_is_easier(tmp_path: FilePath) -> None:
    recipe = replace(
        RECIPE,
        problems=ProblemsRecipe({"jugs": 3, "countdown": 1}),
        synth=replace(RECIPE.synth, dags=600, paths=1, easier=0.3),
    )
    synthesise(recipe, tmp_path)
    dags = _rows(tmp_path, "dags")
    levels = Counter((dag["family"], dag["level"]) for dag in dags)
    assert levels["countdown", 1] == 300  # it has no easier one
    assert levels["jugs", 1] + levels["jugs", 2] == pytest.approx(90, abs=30)
    assert min(levels["jugs", 1], levels["jugs", 2]) > 0


def test_no_problem_is_of_validation_or_test_or_there_twice(folder: FilePath) -> None:
    specs = [(dag["family"], dag["spec"]) for dag in _rows(folder, "dags")]
    assert len(set(specs)) == len(specs)
    for row in (*_rows(folder, "dags"), *_rows(folder, "paths")):
        assert split_of(row["key"]) is Split.TRAIN
        assert row["split"] == "train"
        voice = load_grammar(row["family"]).voices[row["voice"]]
        assert voice.split is Split.TRAIN  # no voice is held out


def test_paths_belong_to_the_dags_beside_them(folder: FilePath) -> None:
    states = [
        (dag["key"], [state_from_json(node["state"]) for node in dag["nodes"]])
        for dag in _rows(folder, "dags")
    ]
    for path in read_paths(folder / "paths.parquet"):
        problem = path.problem
        own = [node.state for node in build_dag(problem).nodes]
        assert (problem.key, own) in states
        assert is_right(problem, path.answer)
        for step in path.steps[1:]:
            reading = puzzle(problem.family).read_step(problem, step.texts)
            assert step.node is not None
            assert reading.after == own[step.node]


def test_questions_without_an_answer_and_dialogues_come_by_their_shares(tmp_path: FilePath) -> None:
    shares = {"unanswerable": 0.3, "dialogues": 0.5, "system_prompts": 0.2}
    recipe = replace(
        RECIPE,
        problems=ProblemsRecipe({**RECIPE.problems.levels, "other": 1}),
        synth=replace(RECIPE.synth, dags=400, paths=400, **shares),
    )
    paths = list(read_paths(synthesise(recipe, tmp_path) / "paths.parquet"))
    kinds = Counter(no_answer(path.problem.spec) for path in paths)
    roles = Counter(len([m for m in path.problem.messages if m.role == "user"]) for path in paths)
    assert 60 < kinds[NoAnswer.UNKNOWN] <= 80
    assert 60 < kinds[NoAnswer.MISSING] + kinds[NoAnswer.NO_SOLUTION] < 130
    assert set(roles) == {1, 2}
    assert 100 < roles[2] < 220
    assert 50 < sum(path.problem.messages[0].role == "system" for path in paths) < 110
    for path in paths:
        assert path.problem.split is Split.TRAIN
        assert path.problem.messages[-1].role == "user"
        assert is_right(path.problem, path.answer)


def test_data_do_not_depend_on_the_number_of_workers(folder: FilePath, tmp_path: FilePath) -> None:
    recipe = replace(RECIPE, synth=replace(RECIPE.synth, workers=2))
    again = _made(recipe, tmp_path)
    for name in ("dags", "paths"):
        assert _rows(again, name) == _rows(folder, name)
    assert _manifest(again) == _manifest(folder)


def test_another_seed_makes_other_data(folder: FilePath, tmp_path: FilePath) -> None:
    small = replace(RECIPE, seed=1, synth=replace(RECIPE.synth, dags=8, paths=8))
    other = _made(small, tmp_path)
    assert _manifest(other)["digest"] != _manifest(folder)["digest"]
    first = [dag["key"] for dag in _rows(folder, "dags")[:8]]
    assert first != [dag["key"] for dag in _rows(other, "dags")]


def test_paths_that_are_too_long_are_dropped_and_counted(tmp_path: FilePath) -> None:
    short = replace(RECIPE, synth=replace(RECIPE.synth, max_tokens=200))
    counts = _manifest(_made(short, tmp_path))["counts"]
    assert counts["paths"] == len(_rows(tmp_path, "paths"))
    assert counts["dropped: longer than max_tokens"] == 100 - counts["paths"]
    assert 0 < counts["paths"] < 100
    assert counts["dags"] == 42


def test_recipe_without_a_family_is_refused(tmp_path: FilePath) -> None:
    with pytest.raises(UserError, match="names no problem family"):
        synthesise(replace(RECIPE, problems=ProblemsRecipe()), tmp_path)


def test_failure_leaves_no_data(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: SolverDagSource, problem: Problem) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr(SolverDagSource, "dag", fail)
    with pytest.raises(RuntimeError, match="no more"):
        synthesise(RECIPE, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_questions_that_are_only_read_stop_after_the_first_step(tmp_path: FilePath) -> None:
    recipe = replace(RECIPE, synth=replace(RECIPE.synth, readings=1.5))
    folder = _made(recipe, tmp_path)
    paths = list(read_paths(folder / "paths.parquet"))
    alone = [path for path in paths if not path.answer]
    counts = _manifest(folder)["counts"]
    assert len(alone) == counts["readings"]
    assert len(paths) - len(alone) == counts["paths"]
    assert 100 <= len(alone) <= 200
    for path in alone:
        (step,) = path.steps
        assert step.texts.next_step == "Read the question"
        assert step.depth == 0
