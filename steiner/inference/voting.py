"""Majority vote: the answer that most samples agree on.

Rollouts -> Votes, the winner first

Only finished answers vote. Answers are compared without regard to letter case, white space and a
closing full stop. Between equal counts the answer wins that the model itself finds likelier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from steiner.types import Rollout


@dataclass(frozen=True, slots=True)
class Vote:
    """An answer, as its best sample words it, and how many samples gave it."""

    answer: str
    count: int
    mean_logprob: float
    """Mean over its samples of the mean log-probability of a token."""
    sample: int
    """Index of its likeliest sample."""


def tally(rollouts: Sequence[Rollout]) -> tuple[Vote, ...]:
    """The votes, most first; empty where no sample has an answer."""
    groups: dict[str, list[int]] = {}
    for index, rollout in enumerate(rollouts):
        if rollout.well_formed and rollout.answer:
            groups.setdefault(normalised(rollout.answer), []).append(index)
    votes = (_vote(rollouts, group) for group in groups.values())
    return tuple(sorted(votes, key=lambda vote: (-vote.count, -vote.mean_logprob)))


def normalised(answer: str) -> str:
    """What is compared of an answer."""
    return " ".join(answer.split()).casefold().removesuffix(".")


def mean_logprob(rollout: Rollout) -> float:
    """Mean log-probability of a token, of those that the format left a choice about or not."""
    return fmean(rollout.logprobs) if rollout.logprobs else float("-inf")


def _vote(rollouts: Sequence[Rollout], group: Sequence[int]) -> Vote:
    best = max(group, key=lambda index: mean_logprob(rollouts[index]))
    mean = fmean(mean_logprob(rollouts[index]) for index in group)
    return Vote(rollouts[best].answer, len(group), mean, best)
