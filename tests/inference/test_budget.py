"""The mask of grammar and budget, compared with plain Python."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steiner.format import grammar
from steiner.format.grammar import GrammarState
from steiner.format.parser import parse
from steiner.inference.budget import (
    MAX_COMPONENT_TOKENS,
    OPENING,
    Budget,
    BudgetMask,
    shortest_completion,
    shortest_reasoning,
)
from steiner.inference.reference import allowed_classes
from steiner.inference.request import Request
from steiner.types import UserError


class OneTokenAClass:
    """A vocabulary whose token ids are the token classes themselves."""

    def class_tensor(self, size):
        return torch.arange(size)


OPENING_CLASSES = [grammar.SPECIAL_TOKENS.index(token) for token in OPENING]
END = grammar.SPECIAL_TOKENS.index(grammar.END)


def limits_of(*requests):
    limits = BudgetMask(OneTokenAClass(), grammar.NUM_CLASSES, len(requests), torch.device("cpu"))
    for row, request in enumerate(requests):
        limits.begin(row, request.budget, reasoning=request.reasoning)
    return limits


def allowed_by(limits, rows):
    return [set(row.isfinite().nonzero()[:, 0].tolist()) for row in limits.mask(rows)]


def test_shortest_completion_counts_the_skeleton():
    # start, step_start, four empty components of 2, step_end, end, close
    assert shortest_completion() == 2 + 4 * 2 + 1 + 1 + 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_steps": -1},
        {"max_steps": 0},
        {"min_steps": 3, "max_steps": 2},
        {"max_tokens": 12},
        {"max_reasoning_tokens": 11},
    ],
)
def test_contradictory_budgets_are_refused_with_a_hint(wrong):
    with pytest.raises(UserError) as caught:
        Budget(**wrong)
    assert caught.value.hint


def test_a_limit_below_one_and_one_below_the_fewest_are_two_faults():
    with pytest.raises(UserError, match="max_steps is 0") as caught:
        Budget(max_steps=0)
    assert "min_steps" not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(UserError, match="max_steps is 2, below min_steps, which is 5") as caught:
        Budget(min_steps=5, max_steps=2)
    assert "at least one step" not in caught.value.hint


@st.composite
def budgets(draw):
    min_steps = draw(st.integers(0, 6))
    max_steps = draw(st.one_of(st.none(), st.integers(max(1, min_steps), 8)))
    max_tokens = draw(st.integers(shortest_completion(), 400))
    max_reasoning = draw(st.one_of(st.none(), st.integers(shortest_reasoning(), 300)))
    return Budget(min_steps, max_steps, max_tokens, max_reasoning)


@settings(max_examples=40, deadline=None)
@given(st.lists(budgets(), min_size=1, max_size=4), st.integers(0, 2**32), st.floats(0.01, 0.99))
def test_any_walk_within_the_mask_keeps_the_format_and_the_budget(choices, seed, wordiness):
    """A random writer takes the place of a model; every mask equals the reference's."""
    generator = torch.Generator().manual_seed(seed)
    requests = [Request((0,), budget) for budget in choices]
    limits, written = limits_of(*requests), [list(OPENING_CLASSES) for _ in requests]
    done = [False] * len(requests)
    while not all(done):
        allowed = allowed_by(limits, len(requests))
        tokens = []
        for row, request in enumerate(requests):
            if done[row]:
                tokens.append(grammar.OTHER)
                continue
            assert allowed[row] == allowed_classes(written[row], request)
            tokens.append(pick(sorted(allowed[row]), wordiness, generator))
            written[row].append(tokens[-1])
        finished = limits.advance(torch.tensor(tokens))
        done = [a or b for a, b in zip(done, finished.tolist(), strict=True)]
    for row, request in enumerate(requests):
        check(written[row], request.budget, limits.cut(row))


def pick(allowed, wordiness, generator):
    if grammar.TEXT in allowed and torch.rand((), generator=generator) < wordiness:
        return grammar.TEXT
    return allowed[int(torch.randint(len(allowed), (), generator=generator))]


def check(classes, budget, cut):
    parsed = parse(classes)
    assert parsed.state is GrammarState.DONE
    assert len(classes) <= budget.max_tokens
    assert budget.max_steps is None or len(parsed.spans) <= budget.max_steps
    num_reasoning = classes.index(END) + 1
    if budget.max_reasoning_tokens is None:
        assert cut or len(parsed.spans) >= budget.min_steps
    else:
        assert num_reasoning <= budget.max_reasoning_tokens
    for span in parsed.spans:
        assert all(stop - start <= MAX_COMPONENT_TOKENS for start, stop in span.components)


def test_the_answer_keeps_its_reserve_when_tokens_run_out_within_a_step():
    budget = Budget(max_tokens=500)
    request = Request((0,), budget)
    limits, written = limits_of(request), list(OPENING_CLASSES)
    while END not in written:
        (allowed,) = allowed_by(limits, 1)
        written.append(grammar.TEXT if grammar.TEXT in allowed else min(allowed - {END} or allowed))
        limits.advance(torch.tensor(written[-1:]))
    assert limits.cut(0)
    # The reserve, and the closing token.
    assert budget.max_tokens - len(written) >= budget.reserve + 1
    assert budget.reserve == 96


def test_once_the_reasoning_tokens_are_spent_only_the_close_is_left():
    budget = Budget(max_tokens=200, max_reasoning_tokens=40)
    request = Request((0,), budget)
    limits, written = limits_of(request), list(OPENING_CLASSES)
    while END not in written:
        (allowed,) = allowed_by(limits, 1)
        written.append(grammar.TEXT if grammar.TEXT in allowed else min(allowed - {END} or allowed))
        limits.advance(torch.tensor(written[-1:]))
    assert len(written) == 40  # a writer that delays the close spends every token
    assert allowed_by(limits, 1) == [{grammar.TEXT, grammar.CLOSE}]  # the answer is free
    assert not limits.cut(0)


def test_a_direct_answer_is_text_and_close_only():
    limits = limits_of(Request((0,), Budget(max_tokens=14), reasoning=False))
    for _ in range(13):
        assert allowed_by(limits, 1) == [{grammar.TEXT, grammar.CLOSE}]
        limits.advance(torch.tensor([grammar.TEXT]))
    assert allowed_by(limits, 1) == [{grammar.CLOSE}]
