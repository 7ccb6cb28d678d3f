"""Groups: G rollouts of each of some problems, drawn where the model can learn most, and scored.

Recipe, Engine -> Groups of (Problem, Rollouts, Scores)

Problems come from the families in proportion to p (1 - p), p being the share that the model has
solved of late, and of the groups made only those with the widest spread of outcomes are kept, after
DAPO's dynamic sampling (arXiv:2503.14476): a group that is all right or all wrong hardly teaches.
DAPO samples until a batch is full; here the number of groups made is fixed, and so is the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import ceil
from statistics import fmean, pvariance
from typing import Any, Protocol

from steiner.dags.solver import build_dag
from steiner.dags.tracing import Trace, Tracer
from steiner.format import grammar
from steiner.format.codec import Codec
from steiner.format.tokenizer import Vocabulary
from steiner.inference.budget import Budget
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.randomness import random_stream
from steiner.recipe import Recipe
from steiner.rl.credit_assignment import Place, locate
from steiner.rl.rewards import Score, score, term_weights
from steiner.tasks import Grade, generate_problems, grade
from steiner.types import Decision, Problem, ReasoningDag, Rollout, Split, StopReason, UserError

_POOL_SIZE = 1000
"""Distinct problems of each family; drawn from at random, so that a step needs no memory of those
before it and a resumed run goes on as it would have."""
_REMEMBERED = 0.5
"""What a family's running accuracy keeps of its old value at each step."""


class Generator(Protocol):
    """What is asked of the Engine."""

    def generate(self, requests: Sequence[Request]) -> list[Rollout]:
        """The requests' rollouts, in their order."""


@dataclass(frozen=True, slots=True)
class RolloutGroup:
    """One problem, G rollouts of it, and what they are worth."""

    problem: Problem
    rollouts_G: tuple[Rollout, ...]
    scores_G: tuple[Score, ...]
    places_G: tuple[tuple[Place, ...], ...]
    """Where each rollout's steps stand."""

    @property
    def spread(self) -> float:
        """Variance of the outcomes: how much the group teaches."""
        return pvariance(score.outcome for score in self.scores_G)


class RolloutGroupSource:
    """Asks an engine problems of the training split, and scores what it writes."""

    def __init__(self, recipe: Recipe, vocabulary: Vocabulary, engine: Generator) -> None:
        self.recipe, self.vocabulary, self.engine = recipe, vocabulary, engine
        self.codec = Codec(vocabulary)
        self.weights = term_weights(recipe.rl.term_weights)
        self.pools = {name: _pool(recipe, name) for name in recipe.problems.levels}
        rl = recipe.rl
        self.budget = Budget(max_steps=rl.max_steps, max_tokens=rl.max_tokens)
        self._end_id = vocabulary.special_ids[grammar.SPECIAL_TOKENS.index(grammar.END)]

    def make(
        self, count: int, log: Iterable[Mapping[str, Any]], *stream: object
    ) -> list[RolloutGroup]:
        """More groups than `count`, by rl.oversample, drawn and sampled by the stream of that name.

        `log` is the trainer's log so far: the families' accuracies are read from it.
        """
        rng = random_stream("rl", self.recipe.seed, *stream)
        num_made = ceil(count * self.recipe.rl.oversample)
        weights = family_weights(self.pools, log, self.recipe.rl.family_floor)
        names = rng.choices(list(weights), list(weights.values()), k=num_made)
        problems = [rng.choice(self.pools[name]) for name in names]
        return self._answer(problems, rng.getrandbits(48))

    def _answer(self, problems: Sequence[Problem], seed: int) -> list[RolloutGroup]:
        size = self.recipe.rl.rollouts_per_problem
        requests = [
            self._request(tuple(self.vocabulary.encode_prompt(problem.messages)), seed, row)
            for row, problem in enumerate(problem for problem in problems for _ in range(size))
        ]
        rollouts = iter(self.engine.generate(requests))
        return [self._group(problem, tuple(islice(rollouts, size))) for problem in problems]

    def _request(self, prompt_ids: tuple[int, ...], seed: int, row: int) -> Request:
        own = random_stream("rollout", seed, row).getrandbits(48)
        return Request(prompt_ids, self.budget, Sampling(self.recipe.rl.temperature, seed=own))

    def _group(self, problem: Problem, rollouts_G: tuple[Rollout, ...]) -> RolloutGroup:
        tracer = Tracer(build_dag(problem))
        traces_G = [tracer.trace(rollout.steps) for rollout in rollouts_G]
        pairs = list(zip(rollouts_G, traces_G, strict=True))
        scores_G = tuple(self._score(tracer.dag, *pair) for pair in pairs)
        places_G = tuple(locate(self.codec, tracer, trace, rollout) for rollout, trace in pairs)
        return RolloutGroup(problem, rollouts_G, scores_G, places_G)

    def _score(self, dag: ReasoningDag, rollout: Rollout, trace: Trace) -> Score:
        problem = dag.problem
        return score(
            rollout,
            trace,
            dag,
            self.weights,
            right=grade(problem, rollout.answer) is Grade.RIGHT,
            max_tokens=self.budget.max_tokens,
            forced_end=self._forced_end(rollout),
        )

    def _forced_end(self, rollout: Rollout) -> bool:
        """Whether the budget, not the model, ended the reasoning."""
        used_up = len(rollout.steps) >= self.recipe.rl.max_steps
        if not (used_up or rollout.stop_reason is StopReason.LENGTH):
            return False
        if self._end_id not in rollout.token_ids:
            return True
        return rollout.forced[rollout.token_ids.index(self._end_id)]


def _pool(recipe: Recipe, name: str) -> list[Problem]:
    problems = generate_problems(
        name,
        recipe.problems.levels[name],
        seed=random_stream("rl problems", recipe.seed).getrandbits(48),
        split=Split.TRAIN,
        language=recipe.language,
    )
    pool = list(islice(problems, _POOL_SIZE))
    if not pool:
        raise UserError(f"no problem of {name} to train on", "raise its level in [problems.levels]")
    return pool


def family_weights(
    names: Iterable[str], log: Iterable[Mapping[str, Any]], floor: float
) -> dict[str, float]:
    """How often to draw each family: p (1 - p) + floor, p from the accuracies in the log."""
    solved = dict.fromkeys(names, 0.5)
    for entry in log:
        for name in solved:
            latest = entry.get(f"accuracy/{name}")
            if latest is not None:
                solved[name] = _REMEMBERED * solved[name] + (1 - _REMEMBERED) * latest
    return {name: p * (1 - p) + floor for name, p in solved.items()}


def widest(groups: Sequence[RolloutGroup], count: int) -> list[RolloutGroup]:
    """The `count` groups with the widest spread of outcomes, in their order."""
    ranked = sorted(range(len(groups)), key=lambda index: -groups[index].spread)
    return [groups[index] for index in sorted(ranked[:count])]


def measures(groups: Sequence[RolloutGroup]) -> dict[str, float]:
    """What is logged of the groups made: accuracies, lengths, faults, and each reward term."""
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
        "cut_rate": fmean(rollout.stop_reason is StopReason.LENGTH for rollout in rollouts),
        "backtrack_rate": decisions.count(Decision.BACKTRACK) / max(1, len(decisions)),
        "mixed_rate": fmean(len({s.right for s in group.scores_G}) > 1 for group in groups),
        "step_reward": fmean(score.step_total for score in scores),
        **{f"term/{term}": fmean(totals[term] for totals in terms) for term in terms[0]},
    }


def _accuracies(groups: Sequence[RolloutGroup]) -> dict[str, float]:
    """Share of right rollouts of each family that was asked."""
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
