"""What a search is compared with: many short tries at once, for no more tokens.

samples of P problems -> right or wrong of a majority vote, of the best of n, of any of n

Each draws k of a problem's samples: the answer that most of them give; the answer of the sample
that the model itself finds likeliest (mean log-probability of a token), among the well-formed;
and, as an oracle that no model can be, whether any is right (pass@k).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from steiner.evaluation.graded_answers import GradedAnswer

Rule = Callable[[Sequence[GradedAnswer]], bool]


def majority(samples: Sequence[GradedAnswer]) -> bool:
    """Whether the commonest answer of the well-formed samples is right; ties go to the first."""
    votes = Counter(sample.answer for sample in samples if sample.well_formed)
    if not votes:
        return False
    winner = votes.most_common(1)[0][0]
    return next(s.right for s in samples if s.well_formed and s.answer == winner)


def best_of_n(samples: Sequence[GradedAnswer]) -> bool:
    """Whether the well-formed sample of the highest mean log-probability is right."""
    chosen = [sample for sample in samples if sample.well_formed]
    return bool(chosen) and max(chosen, key=lambda sample: sample.mean_logprob).right


def any_of_n(samples: Sequence[GradedAnswer]) -> bool:
    """Whether any sample is right: an oracle that knows the right answer when it sees it."""
    return any(sample.right for sample in samples)


RULES: Mapping[str, Rule] = {"majority": majority, "best": best_of_n, "pass": any_of_n}
"""Metric name -> rule; in results.json as "majority@4" and so on."""


@dataclass(frozen=True, slots=True)
class Tries:
    """k samples within one step budget, for each of P problems."""

    budget: int
    k: int
    right_P: Mapping[str, Sequence[bool]]
    """By rule."""
    tokens_P: Sequence[int]
    """Of all k together."""


def tries(samples_P: Sequence[Sequence[GradedAnswer]], budget: int) -> list[Tries]:
    """Of each problem's samples within `budget`, the first 1, 2, 4, ... up to all."""
    most = min(map(len, samples_P))
    sizes = sorted({2**i for i in range(most.bit_length())} | {most})
    return [
        Tries(
            budget,
            k,
            {name: [rule(samples[:k]) for samples in samples_P] for name, rule in RULES.items()},
            [sum(sample.tokens for sample in samples[:k]) for samples in samples_P],
        )
        for k in sizes
    ]
