"""Accuracy by step budget, derived from completions that were made without a budget.

Completions, budgets -> the same completions within each budget

A step budget only masks: it forbids proceed and backtrack after max_steps steps
(inference/budget.py). A search of s steps, greedy or sampled with its own random stream, is
therefore the same, token for token, under any max_steps >= s. A longer search is the same up to the
decision after step max_steps, where the budget forces the end. Only the answer after it needs to be
decoded, with a random stream of its own if the search was sampled. The whole curve costs one search
and a few short answers instead of one search per budget. (One log-probability can differ: that of
an end which the model chose at the step where the budget forces it.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from steiner.evaluation.model_runner import ItemCompletion, ModelRunner
from steiner.format import grammar
from steiner.format.codec import Codec
from steiner.inference.budget import Budget, shortest_completion
from steiner.inference.request import Request
from steiner.types import Rollout


def within_budgets(
    runner: ModelRunner, completions: Sequence[ItemCompletion], budgets: Sequence[int], label: str
) -> dict[int, list[ItemCompletion]]:
    """The completions within each budget, in their order; one pass of the backend for all."""
    cuts = {
        (budget, i): cut
        for budget in budgets
        for i, completion in enumerate(completions)
        if (cut := _cut(completion.rollout, budget)) is not None
    }
    requests = [
        _answer_request(runner, completions[i], budget, cut) for (budget, i), cut in cuts.items()
    ]
    answers = dict(zip(cuts, runner.generate(requests, label), strict=True))
    return {
        budget: [
            replace(completion, rollout=_joined(runner, completion.rollout, answers[budget, i]))
            if (budget, i) in answers
            else completion
            for i, completion in enumerate(completions)
        ]
        for budget in budgets
    }


def _cut(rollout: Rollout, budget: int) -> int | None:
    """Position of the decision after step `budget`; None if the search ends by then."""
    spans = rollout.spans
    if len(spans) <= budget:
        return None
    return spans[budget - 1].stop - 1


def _answer_request(
    runner: ModelRunner, completion: ItemCompletion, budget: int, cut: int
) -> Request:
    """A request for the answer after the first `cut` tokens and the forced end."""
    rollout = completion.rollout
    end = runner.vocabulary.special_ids[grammar.SPECIAL_TOKENS.index(grammar.END)]
    prompt = (*rollout.prompt_ids, *rollout.token_ids[:cut], end)
    max_tokens = max(runner.most_tokens(rollout.prompt_ids) - cut - 1, shortest_completion())
    sampling = runner.sampling(completion.item, completion.sample, budget)
    return Request(prompt, Budget(max_tokens=max_tokens), sampling, reasoning=False)


def _joined(runner: ModelRunner, whole: Rollout, answer: Rollout) -> Rollout:
    """The rollout within the budget: the completion tokens of the answer's prompt, then the
    answer."""
    before = answer.prompt_ids[len(whole.prompt_ids) :]
    num_kept = len(before) - 1
    return Codec(runner.vocabulary).decode(
        whole.prompt_ids,
        (*before, *answer.token_ids),
        (*whole.logprobs[:num_kept], 0.0, *answer.logprobs),
        answer.stop_reason,
        (*whole.forced[:num_kept], True, *answer.forced),
    )


def choose_budget(right_P: Mapping[int | None, Sequence[bool]]) -> int | None:
    """The smallest budget whose accuracy is within noise of the best; None for no budget, and where
    there is nothing to choose on.

    Noise is one standard error of the paired difference to the best. Call it with validation
    problems, never with the problems that accuracy is reported on.
    """
    if not right_P:
        return None
    order = sorted(right_P, key=lambda budget: (budget is None, budget or 0))
    best = max(order, key=lambda budget: sum(right_P[budget]))
    for budget in order:
        lost_P = np.subtract(right_P[best], right_P[budget], dtype=float)
        if lost_P.mean() <= lost_P.std() / np.sqrt(len(lost_P)):
            return budget
    return best
