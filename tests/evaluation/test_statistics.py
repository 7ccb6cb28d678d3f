"""Intervals against published examples and hand arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steiner.evaluation.statistics import (
    Estimate,
    average,
    bootstrap_difference,
    difference,
    mcnemar,
    mean_of,
    proportion,
    rate,
)


def pairs(both, first, second, neither):
    """Outcomes of two models with these counts."""
    one = [True] * (both + first) + [False] * (second + neither)
    other = [True] * both + [False] * first + [True] * second + [False] * neither
    return one, other


def test_wilson_equals_the_example_of_newcombe():
    # Newcombe 1998, Stat. Med. 17:857, table I: 81 of 263 gives 0.2553 to 0.3662.
    found = proportion([True] * 81 + [False] * 182)
    assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    # And 0 of 20 gives 0 to 0.1611.
    found = proportion([False] * 20)
    assert (found.low, found.high) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_difference_is_newcombes_method_10():
    # Newcombe 1998, Stat. Med. 17:2635: 36, 12, 2, 0 of 50 gives 0.0569 to 0.3404.
    found = difference(*pairs(36, 12, 2, 0))
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_mcnemar_is_the_sign_test_of_changed_answers():
    # 12 gained and 2 lost: 2 * (C(14,0) + C(14,1) + C(14,2)) / 2**14 = 2 * 106 / 16384.
    assert mcnemar(*pairs(36, 12, 2, 0)) == pytest.approx(212 / 16384)
    assert mcnemar(*pairs(5, 0, 0, 5)) == 1.0


def test_correlated_steps_widen_the_interval():
    # Each problem's four steps agree: two problems of four hits, two of none, are four
    # observations, not sixteen. Variance of the ratio: 4 * 2**2 * (4/3) / 16**2 = 1/12, so
    # the effective size is 0.25 * 12 = 3.
    clustered = rate([4, 4, 0, 0], [4, 4, 4, 4])
    assert clustered is not None
    assert clustered.n == 16
    low_of_3 = rate([1, 1, 1, 0, 0, 0], [1] * 6)
    assert low_of_3 is not None
    assert clustered.low < low_of_3.low
    assert rate([0, 0], [0, 0]) is None


def test_a_rate_of_zero_counts_each_problem_once():
    found = rate([0] * 20, [5] * 20)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_mean_over_families_adds_squared_limits():
    # (0.4 + 0.6) / 2; below: sqrt(0.03**2 + 0.04**2) / 2 = 0.025; above: sqrt(2) * 0.1 / 2.
    found = mean_of([Estimate(0.4, 0.37, 0.5, 10), Estimate(0.6, 0.56, 0.7, 10)])
    assert (found.value, found.low, found.high, found.n) == pytest.approx(
        (0.5, 0.475, 0.5 + 0.0707, 20), abs=1e-4
    )


def test_bootstrap_is_reproducible_and_near_the_normal_interval():
    first, second = [0.5, 0.75, 1.0, 0.25] * 25, [0.25, 0.5, 1.0, 0.5] * 25
    found = bootstrap_difference(first, second, "test")
    assert found == bootstrap_difference(first, second, "test")
    # Gains of 0.25, 0.25, 0, -0.25: mean 0.0625, deviation 0.207, so 1.96 * 0.0207 either side.
    assert (found.value, found.low, found.high) == pytest.approx((0.0625, 0.022, 0.103), abs=3e-3)


def test_average_of_a_single_value_has_an_infinite_interval():
    assert average([3.0]).high == float("inf")


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_intervals_contain_their_value_and_are_symmetric(outcomes):
    first, second = zip(*outcomes, strict=True)
    gain, loss = difference(first, second), difference(second, first)
    assert -1 - 1e-9 <= gain.low <= gain.value <= gain.high <= 1 + 1e-9
    assert (gain.low, gain.high) == pytest.approx((-loss.high, -loss.low))
    share = proportion(first)
    assert 0 <= share.low <= share.value <= share.high <= 1
