"""Baselines for one long search: several short samples for the same number of tokens.

samples of P problems -> right or wrong by majority vote, best of n, or any of n (pass@n)

Each rule takes k samples of a problem. Majority takes the answer that most of them give. Best of n
takes the well-formed sample with the highest mean token log-probability. Pass@n asks whether any
sample is right, which needs an oracle that knows the right answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from steiner.evaluation.graded_answers import GradedAnswer

SelectionRule = Callable[[Sequence[GradedAnswer]], bool]


def majority(samples: Sequence[GradedAnswer]) -> bool:
    """True if the most frequent answer of well-formed samples is right; ties go to the first."""
    votes = Counter(sample.answer for sample in samples if sample.well_formed)
    if not votes:
        return False
    winner = votes.most_common(1)[0][0]
    return next(s.right for s in samples if s.well_formed and s.answer == winner)


def best_of_n(samples: Sequence[GradedAnswer]) -> bool:
    """True if the well-formed sample with the highest mean log-probability is right."""
    well_formed = [sample for sample in samples if sample.well_formed]
    return bool(well_formed) and max(well_formed, key=lambda sample: sample.mean_logprob).right


def any_of_n(samples: Sequence[GradedAnswer]) -> bool:
    """True if any sample is right."""
    return any(sample.right for sample in samples)


RULES: Mapping[str, SelectionRule] = {
    "majority": majority,
    "best": best_of_n,
    "pass": any_of_n,
}
"""Metric -> rule; results.json names them "majority@4" and so on."""


@dataclass(frozen=True, slots=True)
class SampledAnswers:
    """The result of each rule on k samples within one step budget, for each of P problems."""

    budget: int
    k: int
    right_P: Mapping[str, Sequence[bool]]
    """By rule."""
    tokens_P: Sequence[int]
    """Of all k samples together."""


def sampled_answers(
    samples_P: Sequence[Sequence[GradedAnswer]], budget: int
) -> list[SampledAnswers]:
    """The rules on the first 1, 2, 4, ... and on all samples of each problem within `budget`."""
    most = min(map(len, samples_P))
    sizes = sorted({2**i for i in range(most.bit_length())} | {most})
    return [
        SampledAnswers(
            budget,
            k,
            {name: [rule(samples[:k]) for samples in samples_P] for name, rule in RULES.items()},
            [sum(sample.tokens for sample in samples[:k]) for samples in samples_P],
        )
        for k in sizes
    ]
