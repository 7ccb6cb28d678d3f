"""The policy that is trained is the one that was sampled from."""

from __future__ import annotations

import pytest
import torch
from torch.nn import Identity
from transformers import Qwen2ForCausalLM

from steiner.format.grammar import GrammarState
from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens, train_tokenizer
from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.rl import policy_logprobs
from steiner.rl.policy_logprobs import GrammarPolicy
from steiner.training.losses import CHUNK_TOKENS
from tests.small_model import small_qwen2


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    tokenizer = train_tokenizer(["fill the jugs and pour"] * 5, 300)
    add_reasoning_tokens(tokenizer)
    return Vocabulary.require(tokenizer)


def random_model(vocabulary: Vocabulary) -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    # as in models whose embeddings are padded
    return small_qwen2(
        len(vocabulary.tokenizer) + 2, initializer_range=0.3, tie_word_embeddings=False
    ).eval()


def test_logprobs_are_those_of_the_engine(vocabulary: Vocabulary) -> None:
    model = random_model(vocabulary)
    prompt_ids = tuple(vocabulary.encode_text("fill the jugs"))
    requests = [
        Request(prompt_ids, Budget(max_tokens=120), Sampling(1.0, seed=seed)) for seed in range(8)
    ]
    policy = GrammarPolicy(vocabulary, model.config.vocab_size)
    for rollout in Engine(model, vocabulary).generate(requests):
        ids_BT = torch.tensor([[*rollout.prompt_ids, *rollout.token_ids]])
        start = len(rollout.prompt_ids)
        with torch.no_grad():
            logits_BTV = model(input_ids=ids_BT).logits[:, start - 1 : -1]
            logprob_BT, entropy_BT = policy.logprobs(Identity(), logits_BTV, ids_BT[:, start:], 1.0)
        sampled_T = torch.tensor(rollout.logprobs)
        free_T = ~torch.tensor(rollout.forced)  # what is forced is no choice of the policy's
        assert torch.allclose(logprob_BT[0][free_T], sampled_T[free_T], atol=1e-4)
        assert (entropy_BT >= 0).all()
        assert free_T.sum() > 20


def test_states_and_forced_tokens(vocabulary: Vocabulary) -> None:
    special = vocabulary.special_ids
    text = vocabulary.encode_text("jugs")[0]
    ids_BT = torch.tensor([[special[0], special[4], special[6], text, text, special[7]]])
    policy = GrammarPolicy(vocabulary, len(vocabulary.tokenizer))
    assert policy.states(ids_BT).tolist() == [
        [
            GrammarState.BEGIN,
            GrammarState.STEP,
            GrammarState.NAME_START,
            GrammarState.NAME,
            GrammarState.NAME,
            GrammarState.NAME,
        ]
    ]
    logprob_BT, entropy_BT = policy.logprobs(
        Identity(), torch.randn(1, 6, len(vocabulary.tokenizer)), ids_BT, 1.0
    )
    assert logprob_BT[0, :3].tolist() == [0, 0, 0]  # only one token was allowed
    assert entropy_BT[0, :3].tolist() == [0, 0, 0]
    assert (logprob_BT[0, 3:] < 0).all()


def test_no_gradient_reaches_what_the_grammar_forbids(vocabulary: Vocabulary) -> None:
    special = vocabulary.special_ids
    text = vocabulary.encode_text("jugs")[0]
    ids_BT = torch.tensor([[special[0], special[4], special[6], text, special[7]]])
    logits_BTV = torch.randn(1, 5, len(vocabulary.tokenizer), requires_grad=True)
    policy = GrammarPolicy(vocabulary, len(vocabulary.tokenizer))
    logprob_BT, entropy_BT = policy.logprobs(Identity(), logits_BTV, ids_BT, 1.0)
    assert entropy_BT.isfinite().all()
    assert not entropy_BT.requires_grad
    logprob_BT.sum().backward()  # type: ignore[no-untyped-call]
    assert logits_BTV.grad is not None
    assert logits_BTV.grad.isfinite().all()
    in_name_T = logits_BTV.grad[0, 3]
    assert in_name_T[text] != 0
    assert in_name_T[special[7]] != 0  # the end of the name is allowed,
    assert (in_name_T[list(special[8:])] == 0).all()  # what belongs elsewhere is not


def test_chunks_of_hidden_states_give_the_same(
    vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values and gradients, over more positions than a chunk has."""
    model = random_model(vocabulary)
    policy = GrammarPolicy(vocabulary, model.config.vocab_size)
    special = vocabulary.special_ids
    text = vocabulary.encode_text("jugs")[0]
    ids_BT = torch.tensor([[special[0], special[4], special[6], *[text] * 300, special[7]]] * 2)
    hidden_BTD = torch.randn(*ids_BT.shape, model.config.hidden_size)
    assert ids_BT.numel() > CHUNK_TOKENS
    found = []
    for is_chunked in (False, True):
        given = hidden_BTD.clone().requires_grad_()
        if not is_chunked:
            monkeypatch.setattr(policy_logprobs, "CHUNK_TOKENS", ids_BT.numel())
        both = policy.logprobs(model.lm_head, given, ids_BT, 0.7)
        monkeypatch.undo()
        both[0].sum().backward()
        assert given.grad is not None
        found.append((*both, given.grad))
    for whole, chunked in zip(*found, strict=True):
        assert torch.allclose(whole, chunked, atol=1e-5)
