"""The mask for vLLM equals the embedded engine's, for any slot and any batch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steiner.format import grammar
from steiner.format.grammar import GrammarState
from steiner.format.parser import parse
from steiner.inference.budget import OPENING, Budget, BudgetMask, shortest_completion
from steiner.serving.vllm.batch_constraints import SlotBudgetMask, budget_of
from steiner.types import UserError

CPU = torch.device("cpu")
OPENING_CLASSES = [grammar.SPECIAL_TOKENS.index(token) for token in OPENING]


class OneTokenAClass:
    """A vocabulary whose token ids are the token classes themselves."""

    def class_tensor(self, size):
        return torch.arange(size)


@st.composite
def budgets(draw):
    min_steps = draw(st.integers(0, 6))
    max_steps = draw(st.one_of(st.none(), st.integers(max(1, min_steps), 8)))
    return Budget(min_steps, max_steps, draw(st.integers(shortest_completion(), 300)))


def slots_with(*chosen, num_slots=8):
    limits = SlotBudgetMask(OneTokenAClass(), grammar.NUM_CLASSES, num_slots, CPU)
    for slot, budget in chosen:
        limits.begin(slot, budget)
    return limits


def allowed(limits, slots):
    """The token classes that each slot may write."""
    logits = limits.constrain(torch.zeros(len(slots), grammar.NUM_CLASSES), torch.tensor(slots))
    return [set(row.isfinite().nonzero()[:, 0].tolist()) for row in logits]


class Embedded:
    """One request in the embedded engine, which writes the opening itself."""

    def __init__(self, budget):
        self.limits = BudgetMask(OneTokenAClass(), grammar.NUM_CLASSES, 1, CPU)
        self.limits.begin(0, budget, reasoning=True)
        self.written = list(OPENING_CLASSES)

    def allowed(self):
        return set(self.limits.mask(1)[0].isfinite().nonzero()[:, 0].tolist())

    def write(self, token):
        self.written.append(token)
        return bool(self.limits.advance(torch.tensor([token])))


@settings(max_examples=40, deadline=None)
@given(st.lists(budgets(), min_size=1, max_size=5), st.randoms(use_true_random=False), st.data())
def test_any_walk_is_masked_as_in_the_embedded_engine(chosen, random, data):
    """A random writer takes the place of a model; requests join at random, in a shuffled batch."""
    wordiness = data.draw(st.floats(0.01, 0.99))
    slots = random.sample(range(8), len(chosen))
    limits, waiting = slots_with(), dict(zip(slots, chosen, strict=True))
    running, finished = {}, {}
    while waiting or running:
        if waiting and (not running or random.random() < 0.1):
            slot, budget = waiting.popitem()
            limits.begin(slot, budget)
            running[slot] = (Embedded(budget), [])
        batch = random.sample(sorted(running), len(running))
        tokens = []
        for slot, may in zip(batch, allowed(limits, batch), strict=True):
            embedded, written = running[slot]
            if len(written) < len(OPENING):
                assert may == {OPENING_CLASSES[len(written)]}
            else:
                assert may == embedded.allowed()
            token = grammar.TEXT if grammar.TEXT in may and random.random() < wordiness else None
            tokens.append(random.choice(sorted(may)) if token is None else token)
            written.append(tokens[-1])
            if len(written) > len(OPENING) and embedded.write(tokens[-1]):
                finished[slot] = running.pop(slot)
        limits.follow(torch.tensor(batch), torch.tensor(tokens))
    for slot, budget in zip(slots, chosen, strict=True):
        embedded, written = finished[slot]
        assert written == embedded.written
        parsed = parse(written)
        assert parsed.state is GrammarState.DONE
        assert len(written) <= budget.max_tokens
        assert budget.max_steps is None or len(parsed.spans) <= budget.max_steps
        assert embedded.limits.cut(0) or len(parsed.spans) >= budget.min_steps


def test_a_slot_can_be_used_again():
    limits = slots_with((3, Budget(max_steps=1)))
    for token in OPENING_CLASSES:
        limits.follow(torch.tensor([3]), torch.tensor([token]))
    limits.begin(3, Budget())
    assert allowed(limits, [3]) == [{OPENING_CLASSES[0]}]


def test_nothing_but_the_close_follows_the_close():
    """vLLM discards the token of that step, but one must be allowed."""
    limits = slots_with((0, Budget(max_steps=1, max_tokens=13)))
    written = []
    for _ in range(15):
        (may,) = allowed(limits, [0])
        assert len(may) == 1
        written += may
        limits.follow(torch.tensor([0]), torch.tensor(written[-1:]))
    assert parse(written[:13]).state is GrammarState.DONE
    assert written[12:] == [grammar.CLOSE] * 3


def test_the_format_wins_if_another_rule_leaves_nothing():
    limits = slots_with((0, Budget()), (1, Budget()))
    logits = torch.ones(2, grammar.NUM_CLASSES)
    logits[0, OPENING_CLASSES[0]] = -torch.inf
    constrained = limits.constrain(logits, torch.tensor([0, 1]))
    assert constrained.argmax(1).tolist() == [OPENING_CLASSES[0]] * 2
    assert constrained.isfinite().sum(1).tolist() == [1, 1]


def test_budget_is_read_from_extra_arguments():
    assert budget_of(None, None) == Budget()
    assert budget_of({"min_steps": 2, "max_steps": 5, "other": "x"}, 100) == Budget(2, 5, 100)
    assert budget_of({"max_steps": None}, 100) == Budget(max_tokens=100)
    assert budget_of({"max_reasoning_tokens": 40}, 100) == Budget(
        max_tokens=100, max_reasoning_tokens=40
    )


def test_max_tokens_is_at_most_the_room_after_the_prompt():
    assert budget_of({}, 100, room=60).max_tokens == 60
    assert budget_of({}, 40, room=60).max_tokens == 40
    assert budget_of({}, None, room=60).max_tokens == 60
    assert budget_of({}, None, room=3).max_tokens == shortest_completion()


@pytest.mark.parametrize(
    ("extra", "max_tokens"),
    [
        ({"min_steps": "2"}, None),
        ({"max_steps": 2.0}, None),
        ({"max_steps": True}, None),
        ({"max_steps": 0}, None),
        ({"max_reasoning_tokens": 3}, None),
        ({"min_steps": 3, "max_steps": 2}, None),
        ({}, shortest_completion() - 1),
    ],
)
def test_contradictory_budgets_are_refused(extra, max_tokens):
    with pytest.raises(UserError):
        budget_of(extra, max_tokens)
