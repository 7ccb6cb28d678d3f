"""Test problems that the training data contain are counted by canonical key."""

from dataclasses import replace

from steiner.dags.store import problem_keys
from steiner.dags.synthesis import synthesise
from steiner.evaluation.evaluate import evaluate
from steiner.evaluation.leak_check import num_leaked
from steiner.evaluation.suites import EvalItem, suites
from steiner.recipe import EvalRecipe, SynthRecipe
from steiner.tasks import generate_problems
from steiner.types import Split
from tests.evaluation.conftest import RECIPE

SMALL = replace(RECIPE, synth=SynthRecipe(dags=60, paths=60, workers=1))


def test_no_suite_shares_a_problem_with_the_training_data(tmp_path):
    keys = problem_keys(synthesise(SMALL, tmp_path))
    assert keys
    items = [item for suite in suites().values() for item in suite.items(SMALL)]
    assert set(num_leaked(items, keys).values()) == {0}


def test_training_problems_in_a_suite_are_counted(tmp_path, models, monkeypatch, capsys):
    data = synthesise(SMALL, tmp_path / "synth")
    leaked = [
        EvalItem("known_voices", problem)
        for problem in generate_problems("countdown", 1, seed=0, split=Split.TRAIN)
        if problem.key in problem_keys(data)
    ][:3]
    suite = suites()["known_voices"]
    monkeypatch.setattr(type(suite), "items", lambda self, recipe: leaked)
    recipe = replace(SMALL, eval=EvalRecipe(problems_per_family=2, budgets=(), samples=1))
    results = evaluate(recipe, {"base": models["base"]}, tmp_path, training_data=data)
    assert results.leaked["known_voices"] == len(leaked) > 0
    assert results.leaked["test"] == 0
    assert "problems of suite 'known_voices'" in capsys.readouterr().err
