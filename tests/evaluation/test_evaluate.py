"""A whole evaluation of small models: what is recorded follows from the outcomes, and repeats."""

import json

import torch

from steiner.evaluation import model_runner as runner
from steiner.evaluation.evaluate import evaluate
from steiner.evaluation.graded_answers import read_graded_answers
from steiner.evaluation.results import ALL, read_results
from tests.evaluation.conftest import RECIPE


def test_every_stage_and_family_is_measured_and_the_last_stage_on_every_suite(evaluated):
    accuracy = {(r.stage, r.family) for r in evaluated.results.find("accuracy")}
    families = (*RECIPE.problems.levels, ALL)
    assert accuracy == {(stage, name) for stage in evaluated.models for name in families}
    for suite in ("wording", "reasoning_gym"):
        found = evaluated.results.find(f"accuracy/{suite}")
        assert {r.stage for r in found} == {"rl"}
    assert evaluated.results.direct == ["base"]


def test_the_last_stage_alone_is_swept_and_sampled(evaluated):
    results = evaluated.results
    swept = {r.budget for r in results.find("accuracy", stage="rl", family=ALL)}
    assert swept == {None, *RECIPE.eval.budgets}
    assert {r.stage for r in results.find("majority@2")} == {"rl"}
    assert {r.metric for r in results.records if "@" in r.metric} == {
        f"{rule}@{k}" for rule in ("majority", "best", "pass") for k in (1, 2, 3)
    }
    assert {r.budget for r in results.find("one_search")} == {None, *RECIPE.eval.budgets}


def test_no_pair_of_suites_but_the_wordings_shares_a_problem(evaluated):
    keys = {}
    for outcome in read_graded_answers(evaluated.run_dir / "evaluate" / "outcomes.parquet"):
        keys.setdefault(outcome.suite, set()).add(outcome.key)
    assert keys["wording"] <= keys["test"]
    assert not keys["validation"] & (keys["test"] | keys["wording"])


def test_more_steps_cost_more_tokens(evaluated):
    one = {r.budget: r.tokens for r in evaluated.results.find("one_search", family=ALL)}
    assert one[1] < one[2] < one[4]


def test_intervals_hold_their_values(evaluated):
    for record in evaluated.results.records:
        if record.metric != "steps":
            assert 0 <= record.low <= record.value <= record.high <= 1
    for one in evaluated.results.comparisons:
        assert one.low <= one.value <= one.high


def test_results_are_read_back_and_transcripts_are_json(evaluated):
    folder = evaluated.run_dir / "evaluate"
    again = read_results(folder / "results.json")
    assert again.records == evaluated.results.records
    assert again.comparisons == evaluated.results.comparisons
    json.loads((folder / "transcripts.json").read_text())


def test_a_second_evaluation_finds_the_same(evaluated, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "fastest_dtype", lambda: torch.float32)
    again = evaluate(RECIPE, evaluated.models, tmp_path)
    assert again.records == evaluated.results.records
    assert again.chosen_budget == evaluated.results.chosen_budget
