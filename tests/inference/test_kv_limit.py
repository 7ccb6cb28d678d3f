"""An engine with little KV memory: the same tokens, never more bytes, and requests that wait."""

from __future__ import annotations

import random

import pytest

from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.kv_cache import KVCache
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.types import StopReason, UserError
from tests.inference.test_engine import requests_of, sampled, tokens_of

LONGEST = 160
BUDGETS = tuple(
    Budget(min_steps=steps, max_tokens=tokens)
    for steps, tokens in ((9, 150), (2, 60), (9, 110), (0, 40), (9, 130))
)


@pytest.fixture(params=["qwen2", "neox"])
def model(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def peaks(monkeypatch):
    """Bytes of the cache whenever it is copied, the copy included."""
    seen = [0]
    copied = KVCache._copied

    def measured(cache, old, shift):
        new = copied(cache, old, shift)
        seen.append(cache.nbytes + new.nbytes)
        return new

    monkeypatch.setattr(KVCache, "_copied", measured)
    return seen


def limited(model, vocabulary, cells, max_batch=8):
    """An engine whose cache holds so many tokens of all rows together."""
    sizes = Engine(model, vocabulary)._decoder.cell_bytes()
    memory = cells * (sum(sizes) + max(sizes))
    return Engine(model, vocabulary, max_batch=max_batch, kv_memory=memory)


def run(engine, tickets, peaks=(0,)):
    """Steps until all have finished; checks the memory after each."""
    done = {}
    while engine.num_unfinished:
        done |= {event.ticket: event.rollout for event in engine.step() if event.rollout}
        assert engine.kv_bytes <= engine.kv_limit
        assert max(peaks) <= engine.kv_limit
    return [done[ticket] for ticket in tickets]


@pytest.mark.parametrize("sampling", [None, sampled], ids=["greedy", "sampled"])
def test_the_tokens_are_those_of_an_engine_without_a_limit(vocabulary, model, sampling, peaks):
    requests = requests_of(vocabulary, 12, sampling, BUDGETS)
    expected = Engine(model, vocabulary, max_batch=8).generate(requests)
    peaks.clear()
    peaks.append(0)
    for cells in (LONGEST, 333, 500):
        engine = limited(model, vocabulary, cells)
        tickets = [engine.submit(request) for request in requests]
        rollouts = run(engine, tickets, peaks)
        assert tokens_of(rollouts) == tokens_of(expected)
        for one, other in zip(rollouts, expected, strict=True):
            assert one.stop_reason is other.stop_reason
            assert one.forced == other.forced
            assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)
        assert engine.num_preemptions > 0


@pytest.mark.parametrize("seed", range(6))
def test_rows_of_many_lengths_that_come_at_any_time(vocabulary, qwen2, peaks, seed):
    drawn = random.Random(seed)
    ids = vocabulary.encode_text("take two jugs and fill them from the tap " * 20)
    requests = [
        Request(
            tuple(ids[: drawn.randrange(1, 100)]),
            Budget(min_steps=drawn.randrange(9), max_tokens=drawn.randrange(13, 60)),
            Sampling(drawn.choice([0.0, 1.0]), seed=index),
            reasoning=drawn.random() < 0.8,
        )
        for index in range(20)
    ]
    expected = tokens_of(Engine(qwen2, vocabulary, max_batch=8).generate(requests))
    peaks.clear()
    peaks.append(0)
    engine = limited(qwen2, vocabulary, drawn.randrange(LONGEST, 5 * LONGEST))
    waiting, tickets, done = list(requests), [], {}
    while waiting or engine.num_unfinished:
        while waiting and drawn.random() < 0.2:
            tickets.append(engine.submit(waiting.pop(0)))
        done |= {event.ticket: event.rollout for event in engine.step() if event.rollout}
        assert engine.kv_bytes <= engine.kv_limit
        assert max(peaks) <= engine.kv_limit
    assert [done[ticket].token_ids for ticket in tickets] == expected


def test_a_client_hears_each_token_of_a_preempted_request_once(vocabulary, qwen2):
    requests = requests_of(vocabulary, 6, sampled, BUDGETS)
    engine = limited(qwen2, vocabulary, 200)
    tickets = [engine.submit(request) for request in requests]
    heard, finished = dict.fromkeys(tickets, ()), {}
    while engine.num_unfinished:
        for event in engine.step():
            heard[event.ticket] += event.token_ids
            if event.rollout:
                finished[event.ticket] = event.rollout
    assert engine.num_preemptions > 0
    assert heard == {ticket: rollout.token_ids for ticket, rollout in finished.items()}


def test_requests_that_do_not_fit_wait_in_their_order(vocabulary, qwen2):
    engine = limited(qwen2, vocabulary, 200)
    for request in requests_of(vocabulary, 10, sampled, BUDGETS):
        engine.submit(request)
    some_waited = False
    while engine.num_unfinished:
        engine.step()
        running, waiting = (
            [row.ticket for row in rows] for rows in (engine._rows, engine._waiting)
        )
        assert waiting == sorted(waiting)
        assert not running or not waiting or max(running) < waiting[0]
        some_waited |= bool(waiting) and 2 <= len(running) < engine.max_batch
    assert some_waited


def test_the_oldest_row_is_never_sent_back(vocabulary, qwen2):
    requests = requests_of(vocabulary, 8, sampled, BUDGETS)
    engine = limited(qwen2, vocabulary, 200)
    for request in requests:
        engine.submit(request)
    while engine.num_unfinished:
        oldest = min(row.ticket for row in (*engine._rows, *engine._waiting))
        before = engine.num_running
        events = engine.step()
        assert before == 0 or oldest in {event.ticket for event in events}
    assert engine.num_preemptions > 0


def test_a_preempted_request_can_be_cancelled(vocabulary, qwen2):
    requests = requests_of(vocabulary, 5, sampled, BUDGETS[:1])
    expected = tokens_of(Engine(qwen2, vocabulary, max_batch=8).generate(requests))
    engine = limited(qwen2, vocabulary, 220)
    tickets = [engine.submit(request) for request in requests]
    while not engine.num_preemptions:
        assert engine.step()
    preempted = engine._waiting[0].ticket
    rollout = engine.cancel(preempted)
    place = tickets.index(preempted)
    assert rollout.stop_reason is StopReason.CANCELLED
    assert 10 < len(rollout.token_ids) < len(expected[place])
    assert rollout.token_ids == expected[place][: len(rollout.token_ids)]
    left = [ticket for ticket in tickets if ticket != preempted]
    assert tokens_of(run(engine, left)) == expected[:place] + expected[place + 1 :]


def test_likeliest_tokens_of_a_preempted_request_are_kept(vocabulary, qwen2):
    requests = [
        Request(request.prompt_ids, request.budget, request.sampling, num_top_logprobs=2)
        for request in requests_of(vocabulary, 4, sampled, BUDGETS)
    ]
    expected = Engine(qwen2, vocabulary).generate(requests)
    engine = limited(qwen2, vocabulary, 200)
    rollouts = run(engine, [engine.submit(request) for request in requests])
    assert engine.num_preemptions > 0
    for one, other in zip(rollouts, expected, strict=True):
        assert len(one.top_logprobs) == len(one.token_ids)
        assert [[token for token, _ in top] for top in one.top_logprobs] == [
            [token for token, _ in top] for top in other.top_logprobs
        ]


def test_a_request_that_never_fits_is_refused_and_the_next_one_runs(vocabulary, model):
    engine = limited(model, vocabulary, 50)
    with pytest.raises(UserError, match=r"exceed the 50 tokens that fit into a KV") as raised:
        engine.submit(Request((1, 2), Budget(max_tokens=49)))
    assert "--kv-memory" in raised.value.hint
    ticket = engine.submit(Request((1, 2), Budget(max_tokens=48)))
    (rollout,) = run(engine, [ticket])
    assert len(rollout.token_ids) <= 48


def test_moving_the_window_comes_before_preemption(vocabulary, qwen2):
    """Short rows pass through a cache that they would outgrow if columns were not used again."""
    requests = requests_of(vocabulary, 30, sampled, (Budget(max_tokens=30),))
    engine = limited(qwen2, vocabulary, 2 * 60, max_batch=2)
    run(engine, [engine.submit(request) for request in requests])
    assert engine.num_preemptions == 0


def test_after_a_failed_copy_the_engine_can_be_used_again(vocabulary, qwen2, monkeypatch):
    requests = requests_of(vocabulary, 4, sampled, BUDGETS)
    engine = limited(qwen2, vocabulary, 300)
    expected = tokens_of(engine.generate(requests))
    with monkeypatch.context() as broken:
        copies = iter(range(3))  # the first tensors are copied, the next one is not
        copied = KVCache._copied

        def fail(*arguments):
            if next(copies, None) is None:
                raise MemoryError
            return copied(*arguments)

        broken.setattr(KVCache, "_copied", fail)
        engine.reset()
        for request in requests:
            engine.submit(request)
        with pytest.raises(MemoryError):
            run(engine, [])
    engine.reset()
    assert (engine.kv_bytes, engine.num_unfinished) == (0, 0)
    assert tokens_of(engine.generate(requests)) == expected


def test_the_first_request_sets_the_default_limit(vocabulary, qwen2, monkeypatch):
    monkeypatch.setattr("steiner.inference.engine.default_kv_memory", lambda device: 123_456)
    engine = Engine(qwen2, vocabulary)
    engine.submit(Request((1, 2), Budget(max_tokens=13)))
    assert engine.kv_limit == 123_456
