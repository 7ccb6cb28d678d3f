"""The batched engine compared with the slow reference, and rows that join, leave and move."""

import copy

import pytest
import torch

from steiner.format.tokenizer import Vocabulary, train_tokenizer
from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.hf_decoder import HFDecoder
from steiner.inference.packed_decoder import PackedDecoder
from steiner.inference.reference import greedy
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.types import Message, StopReason, UserError

TEXTS = ("take two", "fill them from the tap take two jugs", "a", "12 and 7", "jugs from the tap")
BUDGETS = (
    Budget(max_tokens=40),
    Budget(min_steps=2, max_steps=3, max_tokens=120),
    Budget(max_steps=1, max_tokens=70),
    Budget(min_steps=1, max_tokens=90),
)


def requests_of(vocabulary, count, sampling=None, budgets=BUDGETS):
    return [
        Request(
            tuple(vocabulary.encode_text(TEXTS[i % len(TEXTS)])),
            budgets[i % len(budgets)],
            sampling(i) if sampling else Sampling(),
            reasoning=i % 6 != 5,
        )
        for i in range(count)
    ]


def sampled(i):
    return Sampling(temperature=0.5 + 0.25 * (i % 3), top_p=1.0 if i % 2 else 0.9, seed=i)


def tokens_of(rollouts):
    return [rollout.token_ids for rollout in rollouts]


@pytest.fixture(params=["qwen2", "llama", "neox"])
def model(request):
    return request.getfixturevalue(request.param)


def test_each_architecture_has_its_decoder(vocabulary, qwen2, llama, neox):
    assert isinstance(Engine(qwen2, vocabulary)._decoder, PackedDecoder)
    assert isinstance(Engine(llama, vocabulary)._decoder, PackedDecoder)
    assert isinstance(Engine(neox, vocabulary)._decoder, HFDecoder)


def test_greedy_equals_the_slow_reference_token_for_token(vocabulary, model):
    requests = requests_of(vocabulary, 6)
    rollouts = Engine(model, vocabulary, max_batch=3, max_length=512).generate(requests)
    for request, rollout in zip(requests, rollouts, strict=True):
        token_ids, logprobs = greedy(model, vocabulary, request)
        assert rollout.token_ids == tuple(token_ids)
        assert rollout.logprobs == pytest.approx(logprobs, abs=1e-4)


@pytest.mark.parametrize("name", ["qwen2", "llama"])
def test_both_decoders_agree(vocabulary, name, request, monkeypatch):
    model = request.getfixturevalue(name)
    requests = requests_of(vocabulary, 8, sampled)
    fast = Engine(model, vocabulary, max_batch=4).generate(requests)
    monkeypatch.setattr(PackedDecoder, "supports", staticmethod(lambda model: False))
    slow = Engine(model, vocabulary, max_batch=4).generate(requests)
    assert tokens_of(fast) == tokens_of(slow)


@pytest.mark.parametrize("name", ["qwen2", "llama"])
def test_a_bf16_copy_gives_nearly_the_logprobs_of_fp32_weights(vocabulary, name, request):
    """Compared up to the first other token. bf16 has 8 bits of precision, and these random weights
    are large."""
    model = request.getfixturevalue(name)
    requests = requests_of(vocabulary, 6)
    engine = Engine(model, vocabulary, dtype=torch.bfloat16)
    assert (engine.dtype, model.dtype) == (torch.bfloat16, torch.float32)
    differences = []
    for given, rollout in zip(requests, engine.generate(requests), strict=True):
        token_ids, logprobs = greedy(model, vocabulary, given)
        same = [a == b for a, b in zip(rollout.token_ids, token_ids, strict=False)]
        length = (*same, False).index(False)
        pairs = zip(rollout.logprobs[:length], logprobs[:length], strict=True)
        differences += [abs(a - b) for a, b in pairs]
    assert len(differences) > 30
    assert 0 < sum(differences) / len(differences) < 0.05
    assert max(differences) < 0.3


def test_a_bf16_copy_is_renewed(vocabulary, qwen2):
    model, requests = copy.deepcopy(qwen2), requests_of(vocabulary, 3, sampled)
    engine = Engine(model, vocabulary, dtype=torch.bfloat16)
    before = engine.generate(requests)
    with torch.no_grad():
        model.get_input_embeddings().weight.mul_(0.5)
    fresh = Engine(model, vocabulary, dtype=torch.bfloat16)
    assert before != engine.generate(requests) == fresh.generate(requests)


def test_a_decoder_without_a_copy_keeps_the_models_dtype(vocabulary, neox):
    assert Engine(neox, vocabulary, dtype=torch.bfloat16).dtype is torch.float32


def test_every_completion_is_well_formed_and_within_its_budget(vocabulary, model):
    budgets = [
        Budget(min_steps=low, max_steps=high, max_tokens=tokens)
        for low, high in [(0, None), (0, 1), (2, 4), (3, 3)]
        for tokens in (13, 40, 100, 320)
    ]
    requests = requests_of(vocabulary, len(budgets), sampled, budgets)
    requests = [request for request in requests if request.reasoning]
    for request, rollout in zip(
        requests, Engine(model, vocabulary).generate(requests), strict=True
    ):
        budget = request.budget
        assert rollout.well_formed
        assert len(rollout.token_ids) == len(rollout.logprobs) <= budget.max_tokens
        assert budget.max_steps is None or len(rollout.steps) <= budget.max_steps
        cut = rollout.stop_reason is StopReason.LENGTH
        assert cut or len(rollout.steps) >= budget.min_steps


def test_other_rows_change_nothing(vocabulary, model):
    """Seven requests through three rows, so that rows join and leave on the way, and each alone."""
    requests = requests_of(vocabulary, 7, sampled)
    together = Engine(model, vocabulary, max_batch=3).generate(requests)
    engine = Engine(model, vocabulary, max_batch=1)
    alone = [engine.generate([request])[0] for request in requests]
    assert tokens_of(together) == tokens_of(alone)


def test_threads_change_no_token(vocabulary, model):
    requests = requests_of(vocabulary, 8, sampled)
    threads, rollouts = torch.get_num_threads(), []
    try:
        for num_threads in (1, 2):
            torch.set_num_threads(num_threads)
            rollouts.append(Engine(model, vocabulary, max_batch=4).generate(requests))
    finally:
        torch.set_num_threads(threads)
    assert tokens_of(rollouts[0]) == tokens_of(rollouts[1])
    for one, other in zip(*rollouts, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


def test_the_seed_decides_the_text(vocabulary, qwen2):
    prompt = tuple(vocabulary.encode_text("take two"))
    engine = Engine(qwen2, vocabulary)
    seeds = (1, 1, 2)
    requests = [Request(prompt, BUDGETS[3], Sampling(1.0, seed=seed)) for seed in seeds]
    first, same, other = tokens_of(engine.generate(requests))
    assert first == same != other
    assert tokens_of(engine.generate(requests)) == [first, same, other]


def test_a_server_sees_every_token_once(vocabulary, qwen2):
    requests = requests_of(vocabulary, 5, sampled)
    engine = Engine(qwen2, vocabulary, max_batch=2)
    expected = engine.generate(requests)
    tickets = [engine.submit(request) for request in requests]
    heard, finished = dict.fromkeys(tickets, ()), {}
    while engine.num_unfinished:
        for event in engine.step():
            assert event.ticket not in finished
            heard[event.ticket] += event.token_ids
            if event.rollout:
                finished[event.ticket] = event.rollout
    assert [heard[ticket] for ticket in tickets] == tokens_of(expected)
    assert [finished[ticket] for ticket in tickets] == expected
    assert engine.step() == []


def test_requests_may_join_on_the_way(vocabulary, model):
    requests = requests_of(vocabulary, 4, sampled)
    engine = Engine(model, vocabulary, max_batch=4)
    expected = tokens_of(engine.generate(requests))
    tickets, done, waiting = [], {}, list(requests)
    for step in range(1000):
        if step % 9 == 0 and waiting:
            tickets.append(engine.submit(waiting.pop(0)))
        done |= {event.ticket: event.rollout for event in engine.step() if event.rollout}
        if len(done) == len(requests):
            break
    assert [done[ticket].token_ids for ticket in tickets] == expected


def test_cancelling_frees_the_row_and_leaves_the_others_alone(vocabulary, qwen2):
    requests = requests_of(vocabulary, 4, sampled)[1:4]
    engine = Engine(qwen2, vocabulary, max_batch=2)
    expected = tokens_of(engine.generate(requests))
    first, second, third = (engine.submit(request) for request in requests)
    for _ in range(5):
        engine.step()
    cancelled = engine.cancel(first)
    assert cancelled.stop_reason is StopReason.CANCELLED
    assert cancelled.token_ids == expected[0][: len(cancelled.token_ids)]
    assert 5 <= len(cancelled.token_ids) < 20
    assert {event.ticket for event in engine.step()} == {second, third}
    assert engine.cancel(third) is not None
    assert engine.cancel(first) is None
    done = {}
    while engine.num_unfinished:
        done |= {event.ticket: event.rollout for event in engine.step() if event.rollout}
    assert {ticket: rollout.token_ids for ticket, rollout in done.items()} == {second: expected[1]}


def test_a_waiting_request_can_be_cancelled(vocabulary, qwen2):
    engine = Engine(qwen2, vocabulary)
    ticket = engine.submit(requests_of(vocabulary, 1)[0])
    assert engine.cancel(ticket).stop_reason is StopReason.CANCELLED
    assert engine.num_unfinished == 0


def test_weights_changed_in_place_are_seen(vocabulary, model):
    requests = requests_of(vocabulary, 3)
    trained = copy.deepcopy(model)
    engine = Engine(trained, vocabulary)
    before = tokens_of(engine.generate(requests))
    optimiser = torch.optim.SGD(trained.parameters(), lr=1.0)
    for parameter in trained.parameters():
        parameter.grad = torch.sin(torch.arange(parameter.numel()).view_as(parameter)) * 0.1
    optimiser.step()
    after = tokens_of(engine.generate(requests))
    assert after != before
    assert after == tokens_of(Engine(trained, vocabulary).generate(requests))


def test_dropout_is_off_and_training_mode_is_restored(vocabulary, neox):
    requests = requests_of(vocabulary, 2)
    model = copy.deepcopy(neox)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.5
    model.train()
    engine = Engine(model, vocabulary)
    assert tokens_of(engine.generate(requests)) == tokens_of(
        Engine(neox, vocabulary).generate(requests)
    )
    assert model.training


def test_bfloat16_keeps_the_format_and_is_close(vocabulary, model):
    requests = requests_of(vocabulary, 4)
    half = Engine(copy.deepcopy(model).bfloat16(), vocabulary).generate(requests)
    full = Engine(model, vocabulary).generate(requests)
    for one, other in zip(half, full, strict=True):
        # The log-probability of the first free token, before greedy choices can differ.
        assert one.well_formed == other.well_formed
        assert one.logprobs[3] == pytest.approx(other.logprobs[3], abs=0.2)


def test_strings_of_special_tokens_stay_plain_text(vocabulary, qwen2):
    text = "say <|reasoning_end|> and <|im_end|> twice"
    prompt = tuple(vocabulary.encode_prompt([Message("user", text)]))
    (rollout,) = Engine(qwen2, vocabulary).generate([Request(prompt, BUDGETS[0])])
    special = set(vocabulary.special_ids)
    assert not special & set(rollout.prompt_ids)
    assert rollout.prompt_ids.count(vocabulary.close_id) == 1
    assert rollout.well_formed
    for step in rollout.steps:
        ids = vocabulary.encode_text(step.texts.understanding)
        assert not special & set(ids)


def test_a_direct_answer_has_no_steps(vocabulary, qwen2):
    request = Request(tuple(vocabulary.encode_text("take")), Budget(max_tokens=30), reasoning=False)
    (rollout,) = Engine(qwen2, vocabulary).generate([request])
    assert rollout.steps == ()
    assert rollout.token_ids[-1] == vocabulary.close_id
    assert rollout.answer == vocabulary.decode_text(rollout.token_ids[:-1]).strip()


def test_progress_counts_to_the_end(vocabulary, qwen2):
    heard = []
    Engine(qwen2, vocabulary, max_batch=2).generate(requests_of(vocabulary, 5), heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 5


def test_a_request_that_cannot_fit_is_refused(vocabulary, qwen2):
    engine = Engine(qwen2, vocabulary, max_length=100)
    with pytest.raises(UserError, match="exceed the engine's 100"):
        engine.generate([Request((1, 2), Budget(max_tokens=99))])
    with pytest.raises(UserError, match="empty"):
        engine.submit(Request((), Budget(max_tokens=20)))
    assert engine.num_unfinished == 0


def test_a_tokenizer_without_the_tokens_is_refused():
    with pytest.raises(UserError, match="14 reasoning tokens"):
        Vocabulary.require(train_tokenizer(["some text"], 400))
