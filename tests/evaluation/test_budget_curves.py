"""Budgets applied after decoding equal budgets while decoding; validation chooses one."""

import torch

from steiner.evaluation.budget_curves import choose_budget, within_budgets
from steiner.evaluation.model_runner import ItemCompletion, ModelRunner
from steiner.evaluation.suites import suites
from steiner.inference.budget import Budget
from steiner.inference.request import Request
from tests.evaluation.conftest import RECIPE


def test_a_search_cut_later_is_the_search_under_that_budget(models):
    runner = ModelRunner("rl", models["rl"], RECIPE)
    items = suites()["test"].items(RECIPE)
    free = runner.generate([runner.request(item) for item in items], "searches")
    completions = [ItemCompletion(*pair) for pair in zip(items, free, strict=True)]
    assert max(len(rollout.steps) for rollout in free) > 3, "nothing to cut"

    limited = within_budgets(runner, completions, (1, 2, 3), "budgets")
    for budget, cut in limited.items():
        limits = Budget(max_steps=budget, max_tokens=RECIPE.eval.max_tokens)
        requests = [Request(rollout.prompt_ids, limits) for rollout in free]
        slow = runner.generate(requests, "one by one")
        assert [one.rollout.token_ids for one in cut] == [rollout.token_ids for rollout in slow]
        assert [one.rollout.answer for one in cut] == [rollout.answer for rollout in slow]
        for completion, rollout in zip(cut, slow, strict=True):
            assert completion.rollout.stop_reason == rollout.stop_reason
            if len(completion.rollout.steps) == budget and completion in completions:
                continue  # the model chose the end where the budget would have forced it
            torch.testing.assert_close(
                torch.tensor(completion.rollout.logprobs),
                torch.tensor(rollout.logprobs),
                atol=1e-4,
                rtol=1e-3,
            )


def test_the_smallest_budget_within_noise_of_the_best_is_chosen():
    few = [True] * 40 + [False] * 60
    many = [True] * 80 + [False] * 20
    # Losing 1 of 100 problems is 0.01 with a standard error of 0.00995: not within noise.
    # Losing 2 and gaining 1 is 0.01 with a standard error of 0.017: within noise.
    nearly = [False] * 2 + [True] * 79 + [False] * 19
    assert choose_budget({1: few, 8: nearly, 16: many, None: many}) == 8
    assert choose_budget({1: few, 8: few, None: many}) is None
    assert choose_budget({None: many}) is None
    assert choose_budget({}) is None
