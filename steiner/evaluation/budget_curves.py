"""Accuracy against the step budget, from the searches that were made without one.

Searches, budgets -> the same searches within each budget

A step budget only masks: it forbids proceed and backtrack once max_steps steps are written
(inference/budget.py). So a search of s steps, greedy or drawn by its own random stream, is, token
for token, what it would have been under any max_steps >= s; and a longer one agrees with its
budgeted self up to the decision after step max_steps, where the end is then the only choice, with
probability 1. What is left to decode is the answer alone, by a random stream of its own where the
search was drawn. The whole curve costs one search and a few short answers, instead of one search a
budget. (One log-probability differs: that of an end which the model chose just where the budget
would have forced it.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from steiner.evaluation.model_runner import Runner, Search
from steiner.format import grammar
from steiner.format.codec import Codec
from steiner.inference.budget import Budget, shortest_completion
from steiner.inference.request import Request
from steiner.types import Rollout


def within_budgets(
    runner: Runner, searches: Sequence[Search], budgets: Sequence[int], what: str
) -> dict[int, list[Search]]:
    """The searches within each budget, in their order; one pass of the engine for all."""
    places = [(budget, i) for budget in budgets for i in range(len(searches))]
    cuts = {place: _cut(runner, searches[place[1]].rollout, place[0]) for place in places}
    longer = [place for place in places if cuts[place] is not None]
    requests = [_answer_request(runner, searches[i], b, cuts[b, i] or 0) for b, i in longer]
    answers = dict(zip(longer, runner.generate(requests, what), strict=True))
    return {
        budget: [
            replace(search, rollout=_joined(runner, search.rollout, answers[budget, i]))
            if (budget, i) in answers
            else search
            for i, search in enumerate(searches)
        ]
        for budget in budgets
    }


def _cut(runner: Runner, rollout: Rollout, budget: int) -> int | None:
    """Where the decision after step `budget` stands; None where the search ends by then."""
    spans = rollout.spans
    if len(spans) <= budget:
        return None
    return spans[budget - 1].stop - 1


def _answer_request(runner: Runner, search: Search, budget: int, cut: int) -> Request:
    """A request for the answer after the first `cut` tokens and the forced end."""
    rollout = search.rollout
    end = runner.vocabulary.special_ids[grammar.SPECIAL_TOKENS.index(grammar.END)]
    prompt = (*rollout.prompt_ids, *rollout.token_ids[:cut], end)
    left = max(runner.recipe.eval.max_tokens - cut - 1, shortest_completion())
    limits = Budget(max_tokens=left)
    sampling = runner.sampling(search.task, search.sample, budget)
    return Request(prompt, limits, sampling, reasoning=False)


def _joined(runner: Runner, whole: Rollout, answer: Rollout) -> Rollout:
    """The budgeted rollout: what stands in the answer's prompt, then the answer."""
    written = answer.prompt_ids[len(whole.prompt_ids) :]
    logprobs = (*whole.logprobs[: len(written) - 1], 0.0, *answer.logprobs)
    token_ids = (*written, *answer.token_ids)
    codec = Codec(runner.vocabulary)
    forced = (*whole.forced[: len(written) - 1], True, *answer.forced)
    return codec.decode(whole.prompt_ids, token_ids, logprobs, answer.stop_reason, forced)


def choose_budget(right_P: Mapping[int | None, Sequence[bool]]) -> int | None:
    """The smallest budget whose accuracy is within noise of the best; None for no budget.

    Noise: one standard error of the paired difference to the best. To be called with validation
    problems, never with those that accuracy is reported on.
    """
    order = sorted(right_P, key=lambda budget: (budget is None, budget or 0))
    best = max(order, key=lambda budget: sum(right_P[budget]))
    for budget in order:
        lost_P = np.subtract(right_P[best], right_P[budget], dtype=float)
        if lost_P.mean() <= lost_P.std() / np.sqrt(len(lost_P)):
            return budget
    return best
