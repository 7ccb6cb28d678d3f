"""Shares and differences with 95 % intervals, for observations that cluster by problem.

answers to P problems -> Estimate

All intervals but the bootstrap are closed forms. They stay valid near 0 and 1 and in small samples,
where the usual normal and bootstrap intervals shrink to a point: Wilson's for one share (Wilson
1927), with an effective sample size if several observations share a problem (Korn and Graubard
1998), Newcombe's method 10 for two shares of the same problems (Newcombe 1998, Stat. Med. 17:2635),
and square-and-add limits for means over families (Zou and Donner 2008).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z = 1.959964
"""The 97.5 % point of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, its 95 % interval, and the number of observations."""

    value: float
    low: float
    high: float
    n: int


def proportion(right_P: Sequence[bool]) -> Estimate:
    """The share of True, with Wilson's interval. Raises ValueError for no observation."""
    if not right_P:
        raise ValueError("a share of nothing")
    value = sum(right_P) / len(right_P)
    low, high = _wilson(value, len(right_P))
    return Estimate(value, low, high, len(right_P))


def rate(hits_P: Sequence[int], totals_P: Sequence[int]) -> Estimate | None:
    """Hits over totals, if observations of one problem are correlated; None if there are none.

    Wilson's interval at the effective sample size: the number of independent observations with the
    variance that the ratio has between problems. If all or none are hits, the variance cannot be
    estimated, and each problem counts as one observation.
    """
    hits, totals = np.asarray(hits_P, float), np.asarray(totals_P, float)
    total = totals.sum()
    if total == 0:
        return None
    value = float(hits.sum() / total)
    clusters = int((totals > 0).sum())
    spread = ((hits - value * totals) ** 2).sum() * clusters / max(1, clusters - 1) / total**2
    effective = value * (1 - value) / spread if spread > 0 else clusters
    low, high = _wilson(value, min(float(effective), float(total)))
    return Estimate(value, low, high, int(total))


def average(values_P: Sequence[float]) -> Estimate:
    """The mean of any numbers, with the normal interval. Raises ValueError for no observation."""
    if not values_P:
        raise ValueError("a mean of nothing")
    values = np.asarray(values_P, float)
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.inf
    mean = float(values.mean())
    return Estimate(mean, mean - Z * float(error), mean + Z * float(error), len(values))


def mean_of(parts: Sequence[Estimate]) -> Estimate:
    """The mean of independent estimates (one per family), each with the same weight."""
    share = 1 / len(parts)
    value = share * sum(part.value for part in parts)
    below = share * math.hypot(*(part.value - part.low for part in parts))
    above = share * math.hypot(*(part.high - part.value for part in parts))
    return Estimate(value, value - below, value + above, sum(part.n for part in parts))


def difference(first_P: Sequence[bool], second_P: Sequence[bool]) -> Estimate:
    """The share of `first_P` less that of `second_P` on the same problems, by Newcombe's method 10.

    The correlation of the pairs narrows the interval, as it lowers the p-value of McNemar's test.
    """
    first, second = proportion(first_P), proportion(second_P)
    pairs = list(zip(first_P, second_P, strict=True))
    phi = _correlation(*(pairs.count(pair) for pair in _PAIRS))
    value = first.value - second.value
    below = _joined(first.value - first.low, second.high - second.value, phi)
    above = _joined(first.high - first.value, second.value - second.low, phi)
    return Estimate(value, value - below, value + above, len(pairs))


_PAIRS = ((True, True), (True, False), (False, True), (False, False))


def mcnemar(first_P: Sequence[bool], second_P: Sequence[bool]) -> float:
    """Two-sided exact p-value of McNemar's test that both are right equally often."""
    pairs = list(zip(first_P, second_P, strict=True))
    gained, lost = pairs.count((True, False)), pairs.count((False, True))
    changed = gained + lost
    tail = sum(math.comb(changed, k) for k in range(min(gained, lost) + 1))
    return min(1.0, float(2 * tail / 2**changed))


def bootstrap_difference(
    first_P: Sequence[float], second_P: Sequence[float], *names: object, resamples: int = 10_000
) -> Estimate:
    """The mean of `first_P` less that of `second_P` on the same problems, for any scale.

    Percentiles of `resamples` paired resamples of problems, from a random stream named `names`.
    Use it for scores that are themselves means over samples or seeds.
    """
    gains = np.asarray(first_P, float) - np.asarray(second_P, float)
    digest = hashlib.sha256("/".join(map(str, ("bootstrap", *names))).encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    counts = rng.multinomial(len(gains), [1 / len(gains)] * len(gains), size=resamples)
    low, high = np.percentile(counts @ gains / len(gains), [2.5, 97.5])
    return Estimate(float(gains.mean()), float(low), float(high), len(gains))


def _wilson(value: float, n: float) -> tuple[float, float]:
    centre = value + Z**2 / (2 * n)
    reach = Z * math.sqrt(value * (1 - value) / n + Z**2 / (4 * n**2))
    scale = 1 + Z**2 / n
    low, high = (centre - reach) / scale, (centre + reach) / scale
    # Rounding must not put the value outside its interval or a bound outside 0 to 1.
    return max(0.0, min(value, low)), min(1.0, max(value, high))


def _correlation(both: int, first: int, second: int, neither: int) -> float:
    """Correlation of pairs, with the continuity correction of method 10 if it is positive."""
    margins = (both + first) * (second + neither) * (both + second) * (first + neither)
    product = float(both * neither - first * second)
    if product > 0:
        product = max(product - (both + first + second + neither) / 2, 0.0)
    return product / math.sqrt(margins) if margins else 0.0


def _joined(one: float, other: float, phi: float) -> float:
    return math.sqrt(max(0.0, one**2 - 2 * phi * one * other + other**2))
