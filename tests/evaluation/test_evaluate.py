"""A whole evaluation of small models: records follow from the answers, and it is reproducible."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from steiner.cli.main import main
from steiner.evaluation.budget_curves import within_budgets
from steiner.evaluation.evaluate import evaluate
from steiner.evaluation.graded_answers import GradedAnswer
from steiner.evaluation.model_runner import ItemCompletion, ModelRunner, embedded_engine
from steiner.evaluation.report import write_report
from steiner.evaluation.results import ALL, read_results
from steiner.evaluation.suites import suites
from steiner.format.tokenizer import Vocabulary
from steiner.inference.backends import TransformersBackend
from steiner.inference.budget import shortest_completion
from steiner.inference.engine import Engine
from steiner.models.loading import load_model
from steiner.recipe import EvalRecipe, ProblemsRecipe
from steiner.types import UserError
from tests.evaluation.conftest import RECIPE


def test_all_stages_have_the_main_suite_and_the_last_one_has_all(evaluated):
    accuracy = {(r.stage, r.family) for r in evaluated.results.find("accuracy")}
    families = (*RECIPE.problems.levels, ALL)
    assert accuracy == {(stage, name) for stage in evaluated.models for name in families}
    for suite in ("known_voices", "reasoning_gym", "perturbed/lower_case"):
        assert {r.stage for r in evaluated.results.find(f"accuracy/{suite}")} == {"rl"}
    assert evaluated.results.direct == ["base"]


def test_only_the_last_stage_has_budgets_and_samples(evaluated):
    results = evaluated.results
    swept = {r.budget for r in results.find("accuracy", stage="rl", family=ALL)}
    assert swept == {None, *RECIPE.eval.budgets}
    assert {r.stage for r in results.find("majority@2")} == {"rl"}
    assert {r.metric for r in results.records if "@" in r.metric} == {
        f"{rule}@{k}" for rule in ("majority", "best", "pass") for k in (1, 2, 3)
    }
    assert {r.budget for r in results.find("one_search")} == {None, *RECIPE.eval.budgets}


def graded_answers(run_dir: Path) -> list[GradedAnswer]:
    rows = pq.read_table(run_dir / "evaluate" / "graded_answers.parquet").to_pylist()
    return [GradedAnswer(**row) for row in rows]


def test_only_paired_suites_share_problems_with_the_main_suite(evaluated):
    keys = {}
    for answer in graded_answers(evaluated.run_dir):
        keys.setdefault(answer.suite, set()).add(answer.key)
    for suite, own in keys.items():
        if suite == "known_voices" or suite.startswith(("perturbed/", "dialogue/")):
            assert own <= keys["test"]
    assert not keys["validation"] & keys["test"]


def test_perturbed_accuracy_is_compared_with_the_same_problems(evaluated):
    results = evaluated.results
    answers = graded_answers(evaluated.run_dir)
    (found,) = [
        one
        for one in results.comparisons
        if (one.suite, one.family) == ("perturbed/greeting", "countdown")
    ]
    own = [
        answer
        for answer in answers
        if (answer.stage, answer.family, answer.budget, answer.sample)
        == ("rl", "countdown", results.chosen_budget, None)
    ]
    perturbed = {a.key: a.right for a in own if a.suite == "perturbed/greeting"}
    usual = {a.key: a.right for a in own if a.suite == "test" and a.key in perturbed}
    assert found.n == len(perturbed) == len(usual)
    assert found.value == (sum(perturbed.values()) - sum(usual.values())) / found.n


def test_more_steps_cost_more_tokens(evaluated):
    tokens = {r.budget: r.tokens for r in evaluated.results.find("one_search", family=ALL)}
    assert tokens[1] < tokens[2] < tokens[4]


def test_intervals_contain_their_values(evaluated):
    for record in evaluated.results.records:
        if record.metric != "steps":
            assert 0 <= record.low <= record.value <= record.high <= 1
    for one in evaluated.results.comparisons:
        assert one.low <= one.value <= one.high


def test_results_are_read_back(evaluated):
    folder = evaluated.run_dir / "evaluate"
    again = read_results(folder / "results.json")
    assert again.records == evaluated.results.records
    assert again.comparisons == evaluated.results.comparisons
    json.loads((folder / "transcripts.json").read_text())


def test_the_settings_that_results_depend_on_are_recorded(evaluated):
    assert evaluated.results.compute["threads"] == torch.get_num_threads()
    dtypes = {ModelRunner(name, model, RECIPE).dtype for name, model in evaluated.models.items()}
    assert dtypes == {evaluated.results.compute["dtype"]}


def test_a_completion_has_what_the_context_leaves(models):
    """The limit is the model's own, not a constant."""
    model, tokenizer = load_model(models["rl"])
    model.config.max_position_embeddings = 500
    assert embedded_engine(model, Vocabulary.require(tokenizer), RECIPE).max_length == 500
    runner = ModelRunner("rl", models["rl"], replace(RECIPE, eval=EvalRecipe(max_tokens=400)))
    [item, *_] = suites()["test"].items(RECIPE)
    num_prompt = len(runner.request(item).prompt_ids)
    assert runner.max_length > 4096
    assert runner.request(item).budget.max_tokens == 400
    runner.max_length = num_prompt + 300
    for request in (runner.request(item), runner.sample_request(item, 0)):
        assert request.budget.max_tokens == 300 - shortest_completion()


def test_a_question_that_fills_the_context_is_one_clear_line(models):
    runner = ModelRunner("rl", models["rl"], RECIPE)
    [item, *_] = suites()["test"].items(RECIPE)
    runner.max_length = len(runner.request(item).prompt_ids) + shortest_completion()
    for request in (lambda: runner.request(item), lambda: runner.sample_request(item, 0)):
        with pytest.raises(UserError, match=f"rl has a context of {runner.max_length}") as refusal:
            request()
        assert "longer context" in refusal.value.hint


def test_a_search_in_a_short_context_is_cut_at_budgets(models):
    """Prompt, search and the answer that a budget forces have room together."""
    [item, *_] = suites()["test"].items(RECIPE)
    runner = ModelRunner("rl", models["rl"], RECIPE)
    num_prompt = len(runner.request(item).prompt_ids)
    length = num_prompt + 150

    def short_engine(model, vocabulary, recipe):
        return Engine(model, vocabulary, max_batch=4, max_length=length)

    recipe = replace(RECIPE, eval=EvalRecipe(max_tokens=4096))
    runner = ModelRunner("rl", models["rl"], recipe, short_engine)
    runner.max_length = length
    [rollout] = runner.generate([runner.request(item)], "search")
    assert len(rollout.spans) > 1
    cut = within_budgets(runner, [ItemCompletion(item, rollout)], (1, 2, 4), "budgets")
    for completions in cut.values():
        [completion] = completions
        assert len(completion.rollout.prompt_ids) + len(completion.rollout.token_ids) <= length


def test_a_second_evaluation_has_the_same_results(evaluated, tmp_path):
    again = evaluate(RECIPE, evaluated.models, tmp_path)
    assert again.records == evaluated.results.records
    assert again.chosen_budget == evaluated.results.chosen_budget


def test_any_backend_evaluates(evaluated, tmp_path):
    """The transformers reference gives the same results as the embedded engine."""
    recipe = replace(RECIPE, eval=EvalRecipe(2, budgets=(2,), samples=1, max_tokens=60))

    def reference(model, vocabulary, recipe):
        return TransformersBackend(model, vocabulary)

    models = {"rl": evaluated.models["rl"]}
    slow = evaluate(recipe, models, tmp_path / "reference", make_backend=reference)
    fast = evaluate(recipe, models, tmp_path / "engine")
    assert slow.records == fast.records


def test_each_suite_of_questions_has_a_folder_with_its_report(models, tmp_path, capsys):
    for name in ("apples", "pears"):
        rows = [{"question": f"{n} {name} and 1?", "answer": str(n + 1)} for n in range(3)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        command = ["eval", "--suite", str(tmp_path / f"{name}.jsonl"), "--grader", "number"]
        command += ["--model", models["rl"], "--out", str(tmp_path / "run")]
        settings = ["eval.problems_per_family=2", "eval.budgets=[2]", "eval.max_tokens=60"]
        for setting in (*settings, "eval.samples=1"):
            command += ["--set", setting]
        assert main(command) == 0
        shown = capsys.readouterr()
        page = tmp_path / "run" / f"evaluate-{name}" / "report.html"
        assert f"report  {page}" in shown.out
        assert "2 of the 3 test questions" in shown.err
        assert "no validation problems" in shown.err
        text = page.read_text()
        assert f"on 2 problems that training never saw: {name}" in text
        assert "There are no validation problems, so no budget is chosen." in text
        assert f"All questions of {tmp_path / name}.jsonl are test questions" in text
    results = read_results(tmp_path / "run" / "evaluate-apples" / "results.json")
    assert results.chosen_budget is None
    assert results.suites["validation"] == {}


def test_a_suite_without_a_model_needs_a_run(tmp_path, capsys):
    file = tmp_path / "sums.jsonl"
    file.write_text('{"question": "1 and 1?", "answer": "2"}')
    assert main(["eval", "--suite", str(file), "--out", str(tmp_path / "run")]) == 2
    assert "no model in" in capsys.readouterr().err


def test_a_task_with_only_a_generator_and_a_grader_is_evaluated(toy_task, models, tmp_path):
    recipe = replace(
        RECIPE,
        problems=ProblemsRecipe(levels={toy_task.name: 1}),
        eval=EvalRecipe(4, budgets=(2,), samples=2, max_tokens=60),
    )
    results = evaluate(recipe, models, tmp_path / "evaluate")
    assert {r.family for r in results.find("accuracy")} == {toy_task.name, ALL}
    assert results.find("steps", stage="rl")
    assert not results.find("verifies_rightly")
    assert results.untraced == {toy_task.name: 4}
    page = write_report(tmp_path, tmp_path).read_text()
    assert "Toy sums has no exact DAGs: 4 searches are left out of step rates." in page
