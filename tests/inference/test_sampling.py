"""Samples follow their distribution, and random streams follow their seeds."""

import pytest
import torch

from steiner.inference.sampling import Sampler, Sampling, uniforms
from steiner.types import UserError

PROBABILITIES = torch.tensor([0.1, 0.0, 0.6, 0.3])
NUM_DRAWS = 4000


def drawn(sampling):
    """Tokens of one row over NUM_DRAWS steps, and the log-probabilities reported."""
    sampler = Sampler(1, NUM_DRAWS, torch.device("cpu"))
    sampler.begin(0, sampling, NUM_DRAWS)
    steps = [sampler.choose(PROBABILITIES.log()[None], torch.tensor([t])) for t in range(NUM_DRAWS)]
    return torch.cat([s[0] for s in steps]), torch.cat([s[1] for s in steps])


def frequencies(tokens):
    return tokens.bincount(minlength=4) / NUM_DRAWS


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_draws_follow_the_distribution_at_the_temperature(temperature):
    tokens, logprobs = drawn(Sampling(temperature=temperature, seed=3))
    expected = PROBABILITIES ** (1 / temperature)
    # 4 standard deviations of a frequency are at most 4 * sqrt(0.25 / 4000) = 0.032
    torch.testing.assert_close(frequencies(tokens), expected / expected.sum(), atol=0.032, rtol=0)
    torch.testing.assert_close(logprobs, PROBABILITIES.log()[tokens])


def test_top_p_keeps_the_fewest_tokens_that_reach_it():
    tokens, _ = drawn(Sampling(temperature=1.0, top_p=0.7))
    expected = torch.tensor([0.0, 0.0, 2 / 3, 1 / 3])
    torch.testing.assert_close(frequencies(tokens), expected, atol=0.032, rtol=0)


@pytest.mark.parametrize(
    ("min_p", "expected"),
    [(0.1, [0.1, 0.0, 0.6, 0.3]), (0.2, [0.0, 0.0, 2 / 3, 1 / 3]), (1.0, [0.0, 0.0, 1.0, 0.0])],
)
def test_min_p_keeps_tokens_by_their_share_of_the_likeliest(min_p, expected):
    tokens, _ = drawn(Sampling(temperature=1.0, min_p=min_p))
    torch.testing.assert_close(frequencies(tokens), torch.tensor(expected), atol=0.032, rtol=0)


def test_greedy_takes_the_likeliest():
    tokens, logprobs = drawn(Sampling())
    assert set(tokens.tolist()) == {2}
    torch.testing.assert_close(logprobs[0], torch.tensor(0.6).log())


@pytest.mark.parametrize("sampling", [Sampling(5e-324), Sampling(1e-39), Sampling(1.0, 5e-324)])
def test_the_smallest_temperature_and_top_p_leave_the_likeliest(sampling):
    tokens, _ = drawn(sampling)
    assert set(tokens.tolist()) == {2}


def test_greedy_and_sampled_rows_share_a_batch():
    sampler = Sampler(2, 8, torch.device("cpu"))
    sampler.begin(0, Sampling(), 8)
    sampler.begin(1, Sampling(temperature=1.0, seed=5), 8)
    logits = PROBABILITIES.log().expand(2, 4)
    alone = drawn(Sampling(temperature=1.0, seed=5))[0]
    for t in range(8):
        tokens, _ = sampler.choose(logits, torch.tensor([t, t]))
        assert tokens.tolist() == [2, alone[t]]


def test_each_seed_has_its_stream_and_a_longer_one_begins_the_same():
    assert torch.equal(uniforms(7, 10), uniforms(7, 20)[:10])
    assert not torch.equal(uniforms(7, 10), uniforms(8, 10))
    assert uniforms(7, 10_000).max() < 1


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1.0}, {"top_p": 0.0}, {"top_p": 1.5}, {"min_p": 1.5}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(UserError):
        Sampling(**wrong)
