"""Stand-ins for both of vLLM's model runners: requests join, leave, return and move.

At every step every row may write what the engine's slow twin allows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steiner.format import grammar
from steiner.format.grammar import GrammarState
from steiner.format.parser import parse
from steiner.inference.budget import Budget, shortest_completion, shortest_reasoning
from steiner.inference.reference import allowed_classes
from steiner.inference.request import Request
from steiner.serving.vllm.batch_constraints import SlotBudgetMask
from steiner.serving.vllm.runner_v1 import V1RunnerBudget
from steiner.serving.vllm.runner_v2 import V2RunnerBudget

NUM_SLOTS, MAX_LENGTH = 4, 160


class OneTokenAClass:
    """A vocabulary whose token ids are the token classes themselves."""

    def class_tensor(self, size):
        return torch.arange(size)


def limits():
    return SlotBudgetMask(OneTokenAClass(), grammar.NUM_CLASSES, NUM_SLOTS, torch.device("cpu"))


@dataclass(eq=False)
class Asked:
    """A request and its tokens so far."""

    prompt: list[int]
    steps: dict[str, int]
    max_tokens: int
    written: list[int] = field(default_factory=list)

    @property
    def params(self):
        return SimpleNamespace(extra_args=self.steps, max_tokens=self.max_tokens)

    @property
    def request(self):
        room = MAX_LENGTH - len(self.prompt)
        return Request((0,), Budget(**self.steps, max_tokens=min(room, self.max_tokens)))


@st.composite
def asked(draw):
    steps = {}
    if draw(st.booleans()):
        steps["min_steps"] = draw(st.integers(0, 3))
    if draw(st.booleans()):
        steps["max_steps"] = draw(st.integers(max(1, steps.get("min_steps", 0)), 5))
    if draw(st.booleans()):
        steps["max_reasoning_tokens"] = draw(st.integers(shortest_reasoning(), 100))
    max_tokens = draw(st.integers(shortest_completion(), 200))
    return Asked([grammar.OTHER] * draw(st.integers(1, 20)), steps, max_tokens)


class Direction(Enum):
    """The names that vLLM uses."""

    UNIDIRECTIONAL = 1
    SWAP = 2


class RunnerV1:
    """Keeps the batch without gaps, and reports the changes."""

    def __init__(self):
        self.processor, self.rows = V1RunnerBudget(limits(), NUM_SLOTS, MAX_LENGTH), []

    def lay_out(self, running, random):
        free = [row for row, one in enumerate(self.rows) if one not in running]
        added, moved = [], []
        for one in running:
            if one not in self.rows:
                row = free.pop(0) if free else len(self.rows)
                self.rows[row : row + 1] = [one]
                added.append((row, one.params, one.prompt, one.written))
        removed = list(free)
        for row in free:
            while self.rows and self.rows[-1] not in running:
                self.rows.pop()
            if row < len(self.rows):
                moved.append((len(self.rows) - 1, row, Direction.UNIDIRECTIONAL))
                self.rows[row] = self.rows.pop()
        if len(self.rows) > 1 and random.random() < 0.3:
            a, b = random.sample(range(len(self.rows)), 2)
            self.rows[a], self.rows[b] = self.rows[b], self.rows[a]
            moved.append((a, b, Direction.SWAP))
        update = SimpleNamespace(removed=removed, added=added, moved=moved)
        self.processor.update_state(update if removed or added or moved else None)
        return self.rows

    def logits(self, logits):
        return self.processor.apply(logits)


class RunnerV2:
    """Keeps tokens by slot, and orders the batch at random."""

    def __init__(self):
        self.tokens = torch.full((NUM_SLOTS, MAX_LENGTH), grammar.OTHER, dtype=torch.int32)
        self.prompt_len = np.zeros(NUM_SLOTS, dtype=np.int32)
        states = SimpleNamespace(
            max_num_reqs=NUM_SLOTS,
            prompt_len=SimpleNamespace(np=self.prompt_len),
            all_token_ids=SimpleNamespace(gpu=self.tokens),
        )
        self.processor, self.slots = V2RunnerBudget(limits(), states, MAX_LENGTH), {}

    def lay_out(self, running, random):
        self.slots = {one: slot for one, slot in self.slots.items() if one in running}
        for one in running:
            if one not in self.slots:
                free = set(range(NUM_SLOTS)) - set(self.slots.values())
                self.slots[one] = slot = random.choice(sorted(free))
                self.prompt_len[slot] = len(one.prompt)
                self.processor.add_request(slot, one.params)
        self.rows = random.sample(running, len(running))
        for one in running:
            ids = torch.tensor([*one.prompt, *one.written], dtype=torch.int32)
            self.tokens[self.slots[one], : len(ids)] = ids
        return self.rows

    def logits(self, logits):
        slots = np.array([self.slots[one] for one in self.rows], dtype=np.int32)
        lengths = [len(one.prompt) + len(one.written) for one in self.rows]
        context = SimpleNamespace(
            idx_mapping_np=slots,
            idx_mapping=torch.from_numpy(slots),
            seq_lens_upper_bound_np=np.array([*lengths, 0, 0], dtype=np.int32),
        )
        return self.processor.apply(logits, context)


@pytest.mark.parametrize("runner_of", [RunnerV1, RunnerV2])
@settings(max_examples=25, deadline=None)
@given(st.lists(asked(), min_size=1, max_size=7), st.randoms(use_true_random=False), st.data())
def test_every_row_keeps_to_its_own_budget(runner_of, requests, random, data):
    wordiness = data.draw(st.floats(0.01, 0.9))
    runner, waiting, running = runner_of(), list(requests), []
    while waiting or running:
        if waiting and len(running) < NUM_SLOTS and (not running or random.random() < 0.3):
            running.append(waiting.pop(0))
        elif len(running) > 1 and random.random() < 0.05:
            waiting.append(running.pop(random.randrange(len(running))))
        rows = list(runner.lay_out(running, random))
        logits = runner.logits(torch.zeros(len(rows), grammar.NUM_CLASSES))
        for one, row in zip(rows, logits, strict=True):
            may = set(row.isfinite().nonzero()[:, 0].tolist())
            assert may == allowed_classes(one.written, one.request)
            wordy = grammar.TEXT in may and random.random() < wordiness
            one.written.append(grammar.TEXT if wordy else random.choice(sorted(may)))
        running = [one for one in running if one.written[-1] != grammar.CLOSE]
    for one in requests:
        assert parse(one.written).state is GrammarState.DONE
        assert len(one.written) <= one.request.budget.max_tokens


def test_v2_ignores_slots_without_a_request():
    """vLLM tests its sampler on an empty batch before it serves."""
    runner = RunnerV2()
    context = SimpleNamespace(
        idx_mapping_np=np.zeros(1, dtype=np.int32),
        idx_mapping=torch.zeros(1, dtype=torch.int32),
        seq_lens_upper_bound_np=np.array([MAX_LENGTH], dtype=np.int32),
    )
    logits = runner.processor.apply(torch.zeros(1, grammar.NUM_CLASSES), context)
    assert logits.isfinite().sum() == 1
