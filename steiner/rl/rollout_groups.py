"""Rollout groups: G scored rollouts for each of some problems, sampled where the model learns most.

Recipe, RolloutBackend, DagSource -> RolloutGroups of (Problem, Rollouts, Scores)

Tasks are drawn in proportion to p (1 - p), where p is the model's recent accuracy, and only the
groups with the largest variance of outcomes are kept, after DAPO's dynamic sampling
(arXiv:2503.14476): a group that is all right or all wrong teaches almost nothing. DAPO samples
until a batch is full; here the number of sampled groups, and so the time, is fixed.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import ceil
from statistics import fmean, pvariance
from typing import Any

from steiner.dags.source import DagSource, SolverDagSource, StoredDagSource
from steiner.dags.tracing import Tracer
from steiner.format import grammar
from steiner.format.codec import Codec
from steiner.format.tokenizer import Vocabulary
from steiner.inference.backends import RolloutBackend
from steiner.inference.budget import Budget
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.randomness import random_stream
from steiner.recipe import Recipe
from steiner.rl.credit_assignment import StepTokens, locate, span_tokens, token_advantages
from steiner.rl.evidence_rewards import EvidenceScorer, StepScorer, evidence_rewards
from steiner.rl.rewards import Score, outcome_score, score, step_advantages, term_weights
from steiner.tasks import Grade, generate_problems, grade, task
from steiner.tasks.no_answer import no_answer
from steiner.types import Decision, Problem, Rollout, Split, StopReason, UserError

_POOL_SIZE = 1000
"""Problems of each task. Problems are drawn from this pool at random, so that a step does not
depend on the steps before it and a resumed run repeats an uninterrupted one."""
_KEPT_ACCURACY = 0.5
"""Weight of the old value when a task's running accuracy is updated after a step."""


@dataclass(frozen=True, slots=True)
class RolloutGroup:
    """One problem, G rollouts of it, and their scores."""

    problem: Problem
    rollouts_G: tuple[Rollout, ...]
    scores_G: tuple[Score, ...]
    step_tokens_G: tuple[tuple[StepTokens, ...], ...]
    """Token positions of each rollout's steps; empty for a task without exact DAGs."""

    @property
    def spread(self) -> float:
        """Variance of the outcomes."""
        return pvariance(score.outcome for score in self.scores_G)

    def step_advantages_GT(self, weight: float) -> list[list[float]]:
        """Step advantage of each token of each rollout, `weight` applied; the outcome's is not in
        it."""
        return [
            [weight * one for one in token_advantages(len(rollout.token_ids), places, steps)]
            for rollout, places, steps in zip(
                self.rollouts_G, self.step_tokens_G, step_advantages(self.scores_G), strict=True
            )
        ]


class RolloutGroupSource:
    """Samples rollouts for problems of the training split and scores them.

    Of `num_processes` processes, each samples every `num_processes`-th group of the same draw, so
    that together they sample what one process would.
    """

    def __init__(
        self,
        recipe: Recipe,
        vocabulary: Vocabulary,
        backend: RolloutBackend,
        dags: DagSource | None = None,
        *,
        rank: int = 0,
        num_processes: int = 1,
    ) -> None:
        self.recipe, self.vocabulary, self.backend = recipe, vocabulary, backend
        self.dags = dags or SolverDagSource()
        self.rank, self.num_processes = rank, num_processes
        self.codec = Codec(vocabulary)
        self.weights = term_weights(recipe.rl.term_weights)
        self.pools = {name: _pool(recipe, name) for name in recipe.problems.levels}
        rl = recipe.rl
        self.budget = Budget(max_steps=rl.max_steps, max_tokens=rl.max_tokens)
        self._end_id = vocabulary.special_ids[grammar.SPECIAL_TOKENS.index(grammar.END)]
        _report_outcome_only(recipe)

    def sample(
        self, count: int, log: Iterable[Mapping[str, Any]], *stream: object
    ) -> list[RolloutGroup]:
        """`count` times rl.oversample groups for this process, from the named random stream.

        `log` is the trainer's log so far; the tasks' accuracies are read from it.
        """
        rng = random_stream("rl", self.recipe.seed, *stream)
        num_groups = ceil(count * self.recipe.rl.oversample) * self.num_processes
        weights = task_weights(self.pools, log, self.recipe.rl.family_floor)
        names = rng.choices(list(weights), list(weights.values()), k=num_groups)
        problems = [rng.choice(self.pools[name]) for name in names]
        seed = rng.getrandbits(48)
        mine = list(enumerate(problems))[self.rank :: self.num_processes]
        return self._groups(mine, seed)

    def _groups(self, problems: Sequence[tuple[int, Problem]], seed: int) -> list[RolloutGroup]:
        """A group for each (number of the group among all processes' groups, problem)."""
        size = self.recipe.rl.rollouts_per_problem
        requests = [
            self._request(problem, random_stream("rollout", seed, number * size + row))
            for number, problem in problems
            for row in range(size)
        ]
        rollouts = iter(self.backend.generate(requests))
        return [self._group(problem, tuple(islice(rollouts, size))) for _, problem in problems]

    def _request(self, problem: Problem, rng: random.Random) -> Request:
        prompt_ids = tuple(self.vocabulary.encode_prompt(problem.messages))
        sampling = Sampling(self.recipe.rl.temperature, seed=rng.getrandbits(48))
        return Request(prompt_ids, self.budget, sampling)

    def _group(self, problem: Problem, rollouts_G: tuple[Rollout, ...]) -> RolloutGroup:
        if not task(problem.family).has_exact_dags or no_answer(problem.spec):
            return self._group_without_exact_dag(problem, rollouts_G)
        tracer = Tracer(self.dags.dag(problem))
        scored = [self._score(tracer, rollout) for rollout in rollouts_G]
        scores_G = tuple(score for score, _ in scored)
        return RolloutGroup(problem, rollouts_G, scores_G, tuple(tokens for _, tokens in scored))

    def _group_without_exact_dag(
        self, problem: Problem, rollouts_G: tuple[Rollout, ...]
    ) -> RolloutGroup:
        """Outcomes, and step rewards by a teacher's evidence where the run has it."""
        scores_G = tuple(self._outcome_score(problem, rollout) for rollout in rollouts_G)
        stored = self.dags.stored(problem) if isinstance(self.dags, StoredDagSource) else None
        if stored is None or task(problem.family).has_exact_dags:
            return RolloutGroup(problem, rollouts_G, scores_G, ((),) * len(rollouts_G))
        scorer: StepScorer = EvidenceScorer(stored)
        scores_G = tuple(
            replace(score, steps=evidence_rewards(scorer, rollout, self.weights))
            for score, rollout in zip(scores_G, rollouts_G, strict=True)
        )
        places_G = tuple(tuple(map(span_tokens, rollout.spans)) for rollout in rollouts_G)
        return RolloutGroup(problem, rollouts_G, scores_G, places_G)

    def _outcome_score(self, problem: Problem, rollout: Rollout) -> Score:
        right = grade(problem, rollout.answer) is Grade.RIGHT
        max_tokens = self.budget.max_tokens
        return outcome_score(rollout, self.weights, right=right, max_tokens=max_tokens)

    def _score(self, tracer: Tracer, rollout: Rollout) -> tuple[Score, tuple[StepTokens, ...]]:
        trace = tracer.trace(rollout.steps)
        scored = score(
            rollout,
            trace,
            tracer.dag,
            self.weights,
            right=grade(tracer.dag.problem, rollout.answer) is Grade.RIGHT,
            max_tokens=self.budget.max_tokens,
            forced_end=self._forced_end(rollout),
        )
        return scored, locate(self.codec, tracer, trace, rollout)

    def _forced_end(self, rollout: Rollout) -> bool:
        """True if the budget, not the model, ended the reasoning."""
        if self._end_id not in rollout.token_ids:
            return rollout.stop_reason is StopReason.LENGTH
        return rollout.forced[rollout.token_ids.index(self._end_id)]


def _report_outcome_only(recipe: Recipe) -> None:
    known = {name: task(name) for name in recipe.problems.levels}
    names = [n for n, t in known.items() if not t.has_exact_dags and t.step_writer is None]
    if names and recipe.rl.step_reward_weight:
        print(f"rl: outcome reward only for {', '.join(names)}: no exact DAGs", file=sys.stderr)


def _pool(recipe: Recipe, name: str) -> list[Problem]:
    problems = generate_problems(
        name,
        recipe.rl.levels.get(name, recipe.problems.levels[name]),
        seed=random_stream("rl problems", recipe.seed).getrandbits(48),
        split=Split.TRAIN,
        language=recipe.language,
        unanswerable=recipe.synth.unanswerable,
    )
    pool = list(islice(problems, _POOL_SIZE))
    if not pool:
        raise UserError(f"no problem of {name} to train on", "raise its level in [problems.levels]")
    return pool


def task_weights(
    names: Iterable[str], log: Iterable[Mapping[str, Any]], floor: float
) -> dict[str, float]:
    """Probability weight of each task: p (1 - p) + floor, with p from the accuracies in the log."""
    solved = dict.fromkeys(names, 0.5)
    for entry in log:
        for name in solved:
            latest = entry.get(f"accuracy/{name}")
            if latest is not None:
                solved[name] = _KEPT_ACCURACY * solved[name] + (1 - _KEPT_ACCURACY) * latest
    return {name: p * (1 - p) + floor for name, p in solved.items()}


def most_varied(groups: Sequence[RolloutGroup], count: int) -> list[RolloutGroup]:
    """The `count` groups with the largest variance of outcomes, in their order."""
    ranked = sorted(range(len(groups)), key=lambda index: -groups[index].spread)
    return [groups[index] for index in sorted(ranked[:count])]


def group_metrics(groups: Sequence[RolloutGroup]) -> dict[str, float]:
    """Logged metrics of sampled groups: accuracies, lengths, faults, and each reward term."""
    rollouts = [rollout for group in groups for rollout in group.rollouts_G]
    scores = [score for group in groups for score in group.scores_G]
    decisions = [step.decision for rollout in rollouts for step in rollout.steps]
    terms = [score.term_totals() for score in scores]
    return {
        **_accuracies(groups),
        "accuracy": fmean(score.right for score in scores),
        "steps": fmean(len(rollout.steps) for rollout in rollouts),
        "tokens": fmean(len(rollout.token_ids) for rollout in rollouts),
        "malformed_rate": fmean(not rollout.well_formed for rollout in rollouts),
        "repetition_rate": fmean(r.stop_reason is StopReason.REPETITION for r in rollouts),
        "cut_rate": fmean(rollout.stop_reason is StopReason.LENGTH for rollout in rollouts),
        "backtrack_rate": decisions.count(Decision.BACKTRACK) / max(1, len(decisions)),
        "mixed_rate": fmean(len({s.right for s in group.scores_G}) > 1 for group in groups),
        "step_reward": fmean(score.step_total for score in scores),
        **{f"term/{term}": fmean(totals[term] for totals in terms) for term in terms[0]},
    }


def _accuracies(groups: Sequence[RolloutGroup]) -> dict[str, float]:
    """Share of right rollouts, by task."""
    names = dict.fromkeys(group.problem.family for group in groups)
    return {
        f"accuracy/{name}": fmean(
            score.right
            for group in groups
            if group.problem.family == name
            for score in group.scores_G
        )
        for name in names
    }
