"""Majority vote, best of n and pass@n on handwritten answers."""

from steiner.evaluation.graded_answers import GradedAnswer
from steiner.evaluation.sampling_baselines import any_of_n, best_of_n, majority, sampled_answers


def sample(answer, *, right=False, well_formed=True, mean_logprob=-1.0, tokens=10):
    return GradedAnswer(
        "rl", "test", "jugs", "k", 4, 0, right, well_formed, answer, 3, tokens, mean_logprob
    )


def test_the_most_frequent_answer_wins_and_malformed_ones_do_not_count():
    right = sample("a", right=True)
    assert majority([sample("b"), right, right])
    assert not majority([sample("b"), sample("b"), right])
    assert majority([sample("b", well_formed=False)] * 3 + [right])
    assert not majority([sample("b"), right]), "a tie goes to the first"
    assert not majority([sample("a", well_formed=False)])


def test_best_of_n_takes_the_most_likely_answer():
    likely, unlikely = {"mean_logprob": -0.1}, {"mean_logprob": -2.0}
    assert best_of_n([sample("b", **unlikely), sample("a", right=True, **likely)])
    assert not best_of_n([sample("b", **likely), sample("a", right=True, **unlikely)])
    assert best_of_n([sample("b", well_formed=False, **likely), sample("a", right=True)])


def test_sample_counts_double_up_to_all_and_tokens_add_up():
    problem = [sample("b", tokens=5), sample("a", right=True, tokens=7), sample("a", right=True)]
    found = sampled_answers([problem], budget=4)
    assert [one.k for one in found] == [1, 2, 3]
    assert [one.tokens_P for one in found] == [[5], [12], [22]]
    assert [one.right_P["majority"] for one in found] == [[False], [False], [True]]
    assert [one.right_P["pass"] for one in found] == [[False], [True], [True]]
    assert any_of_n(problem)
