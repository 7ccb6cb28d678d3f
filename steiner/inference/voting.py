"""Majority vote: the answer that most samples agree on.

Rollouts -> Votes, the winner first

Only finished answers vote. The comparison ignores letter case, white space and a final full stop.
Of answers with equal counts, the one with the higher log-probability wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from steiner.types import Rollout


@dataclass(frozen=True, slots=True)
class Vote:
    """An answer in the words of its likeliest sample, and the number of samples that gave it."""

    answer: str
    count: int
    mean_logprob: float
    """Mean over these samples of the mean log-probability of a token."""
    sample: int
    """Index of the likeliest sample."""


def tally(rollouts: Sequence[Rollout]) -> tuple[Vote, ...]:
    """The votes, most first; empty if no sample has an answer."""
    groups: dict[str, list[int]] = {}
    for index, rollout in enumerate(rollouts):
        if rollout.well_formed and rollout.answer:
            groups.setdefault(normalised(rollout.answer), []).append(index)
    votes = (_vote(rollouts, group) for group in groups.values())
    return tuple(sorted(votes, key=lambda vote: (-vote.count, -vote.mean_logprob)))


def normalised(answer: str) -> str:
    """The answer in the form in which answers are compared."""
    return " ".join(answer.split()).casefold().removesuffix(".")


def mean_logprob(rollout: Rollout) -> float:
    """Mean log-probability of all tokens, forced ones included."""
    return fmean(rollout.logprobs) if rollout.logprobs else float("-inf")


def _vote(rollouts: Sequence[Rollout], group: Sequence[int]) -> Vote:
    best = max(group, key=lambda index: mean_logprob(rollouts[index]))
    mean = fmean(mean_logprob(rollouts[index]) for index in group)
    return Vote(rollouts[best].answer, len(group), mean, best)
