"""Small random models of widely used architectures, each behind the chat layout of its family:
prompts, budgets, decoding, losses, files and resumed training."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from steiner.format.tokenizer import Vocabulary
from steiner.inference.budget import Budget
from steiner.inference.decoder import decoder_for
from steiner.inference.engine import Engine
from steiner.inference.kv_cache import PromptBatch
from steiner.inference.reference import greedy
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.models.loading import load_model
from steiner.models.logits import logits_of
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.models.saving import save_model
from steiner.rl.policy_logprobs import GrammarPolicy
from steiner.training.checkpoints import last_checkpoint
from steiner.training.losses import token_losses
from steiner.training.schedule import Schedule
from steiner.training.trainer import SequenceTrainer, train_sequences
from steiner.types import Message, StopReason, TokenSequence
from tests.chat_layouts import LAYOUTS, TEXTS, Layout, make_tokenizer

WINDOW = 8
"""Tokens that a layer with a sliding window attends to; every prompt here is longer."""


@dataclass(frozen=True)
class Family:
    """An architecture, what its config adds to `SHAPE`, and the chat layout of its models."""

    config: type[PreTrainedConfig]
    layout: str
    changes: dict[str, Any]


SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}
MIXED = {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": WINDOW}
GEMMA = {"head_dim": 8, "query_pre_attn_scalar": 8, "final_logit_softcapping": 3.0, **MIXED}
FAMILIES = {
    "llama": Family(LlamaConfig, "llama3", {"tie_word_embeddings": False}),
    "smollm": Family(LlamaConfig, "smollm", {"tie_word_embeddings": True}),
    "mistral": Family(MistralConfig, "mistral", {"sliding_window": WINDOW}),
    "gemma2": Family(Gemma2Config, "gemma", GEMMA | {"attn_logit_softcapping": 2.0}),
    "gemma3": Family(Gemma3TextConfig, "gemma", GEMMA),
    "phi3": Family(Phi3Config, "phi3", {"sliding_window": WINDOW}),
    "qwen2": Family(Qwen2Config, "qwen", {"tie_word_embeddings": True}),
    "qwen2-window": Family(
        Qwen2Config, "qwen", {**MIXED, "use_sliding_window": True, "tie_word_embeddings": False}
    ),
    "qwen3": Family(Qwen3Config, "qwen", {"head_dim": 8, "tie_word_embeddings": True}),
}
CLASSES = {family.config: name for name, family in reversed(FAMILIES.items())}
"""One name for each class."""
OTHER_HEADS = {
    "granite": Family(GraniteConfig, "llama3", {"logits_scaling": 4.0}),
    "cohere": Family(CohereConfig, "llama3", {"logit_scale": 0.25}),
    "gpt-neox": Family(GPTNeoXConfig, "llama3", {}),
}
"""Architectures of which only the logits are compared."""


@dataclass(frozen=True)
class Prepared:
    """A model with the reasoning tokens; tests must not change it."""

    model: PreTrainedModel
    vocabulary: Vocabulary
    layout: Layout


def prepare(family: Family) -> Prepared:
    """A random model whose norms and biases are random too, and which often writes the 14 tokens
    and the closing one."""
    layout = LAYOUTS[family.layout]
    tokenizer = make_tokenizer(layout)
    torch.manual_seed(0)
    config = family.config(vocab_size=len(tokenizer), **SHAPE | family.changes)
    model = AutoModelForCausalLM.from_config(config).eval()
    vocabulary = add_reasoning_vocabulary(model, tokenizer)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" in name or name.endswith("bias"):
                weight += 0.3 * torch.randn_like(weight)
        structure = [*vocabulary.special_ids, vocabulary.close_id]
        model.get_output_embeddings().weight[structure] *= 3
    return Prepared(model, vocabulary, layout)


@pytest.fixture(scope="module", params=FAMILIES)
def prepared(request: pytest.FixtureRequest) -> Prepared:
    return prepare(FAMILIES[request.param])


def some_ids(vocabulary: Vocabulary, *lengths: int) -> list[tuple[int, ...]]:
    """Random token ids, one row for each length."""
    generator = torch.Generator().manual_seed(1)
    size = len(vocabulary.tokenizer)
    rows = (torch.randint(size, (length,), generator=generator) for length in lengths)
    return [tuple(row.tolist()) for row in rows]


# ---------------------------------------------------------------------- prompts and budgets


def test_prompts_and_closing_token_are_the_template_s(prepared: Prepared) -> None:
    tokenizer = prepared.vocabulary.tokenizer
    turns = [
        {"role": "user", "content": TEXTS[1]},
        {"role": "assistant", "content": TEXTS[2]},
        {"role": "user", "content": TEXTS[0]},
    ]
    expected = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    messages = [Message(turn["role"], turn["content"]) for turn in turns]
    assert prepared.vocabulary.encode_prompt(messages) == expected
    close = tokenizer.convert_ids_to_tokens(prepared.vocabulary.close_id)
    assert close == prepared.layout.close


def test_budgets_hold(prepared: Prepared) -> None:
    vocabulary = prepared.vocabulary
    prompt_ids = tuple(vocabulary.encode_prompt([Message("user", TEXTS[1])]))
    budget = Budget(max_steps=2, max_tokens=120)
    requests = [Request(prompt_ids, budget, Sampling(1.0, seed=seed)) for seed in range(6)]
    for rollout in Engine(prepared.model, vocabulary).generate(requests):
        assert rollout.well_formed
        assert rollout.token_ids[-1] == vocabulary.close_id
        assert len(rollout.token_ids) <= budget.max_tokens
        assert 1 <= len(rollout.spans) <= 2
        assert rollout.stop_reason in (StopReason.END, StopReason.LENGTH)


def test_greedy_tokens_are_those_of_the_reference(prepared: Prepared) -> None:
    """Of a prompt longer than the window."""
    model, vocabulary = prepared.model, prepared.vocabulary
    prompt_ids = tuple(vocabulary.encode_prompt([Message("user", " ".join(TEXTS))]))
    assert len(prompt_ids) > WINDOW
    request = Request(prompt_ids, Budget(max_tokens=40))
    (rollout,) = Engine(model, vocabulary).generate([request])
    token_ids, logprobs = greedy(model, vocabulary, request)
    assert rollout.token_ids == tuple(token_ids)
    assert rollout.logprobs == pytest.approx(logprobs, abs=1e-4)


# ---------------------------------------------------------------------- logits


def test_our_decoder_writes_what_generate_writes(prepared: Prepared) -> None:
    """Two prompts of different lengths in one batch; each longer than the window."""
    model, vocabulary = prepared.model, prepared.vocabulary
    prompts = some_ids(vocabulary, 2 * WINDOW, 3 * WINDOW + 1)
    num_new = 2 * WINDOW
    expected = [
        model.generate(
            torch.tensor([prompt]), do_sample=False, min_new_tokens=num_new, max_new_tokens=num_new
        )[0, len(prompt) :]
        for prompt in prompts
    ]
    decoder, cache = decoder_for(model, max_batch=2, max_length=128)
    with torch.inference_mode():
        batch = PromptBatch.of([prompt[:-1] for prompt in prompts], 0, model.device)
        cache.make_room(len(prompts), batch.width)
        for row, prompt in enumerate(prompts):
            cache.begin(row, len(prompt) - 1)
        cache.resize(len(prompts))
        decoder.prefill(batch)
        next_B = torch.tensor([prompt[-1] for prompt in prompts])
        written = []
        for _ in range(num_new):
            cache.make_room(len(prompts), 0)
            next_B = decoder.decode(next_B).argmax(-1)
            cache.end += 1
            written.append(next_B)
    assert torch.equal(torch.stack(written, 1), torch.stack(expected))


@pytest.mark.parametrize("name", [*FAMILIES, *OTHER_HEADS])
def test_logits_and_losses_are_those_of_the_model(name: str) -> None:
    prepared = prepare((FAMILIES | OTHER_HEADS)[name])
    model = prepared.model
    ids_BT = torch.tensor(some_ids(prepared.vocabulary, 20, 20))
    with torch.no_grad():
        logits_BTV = model(ids_BT).logits
        hidden_BTD = model.get_decoder()(input_ids=ids_BT).last_hidden_state
        logits_NV = logits_of(model, hidden_BTD.flatten(0, 1))
    assert torch.allclose(logits_NV, logits_BTV.flatten(0, 1), atol=1e-6)
    found = token_losses(model, ids_BT, torch.ones(ids_BT.shape))
    expected_N = torch.nn.functional.cross_entropy(
        model(ids_BT).logits[:, :-1].flatten(0, 1), ids_BT[:, 1:].flatten(), reduction="none"
    )
    assert torch.allclose(found.loss_N, expected_N, atol=1e-5)
    gradients = []
    for total in (found.total, expected_N.sum()):
        model.zero_grad()
        total.backward()
        gradients.append([weight.grad.clone() for weight in model.parameters()])
    for found, expected in zip(*gradients, strict=True):
        assert torch.allclose(found, expected, rtol=1e-3, atol=1e-6)


def test_rl_trains_the_logprobs_that_tokens_were_drawn_with(prepared: Prepared) -> None:
    model, vocabulary = prepared.model, prepared.vocabulary
    prompt_ids = tuple(vocabulary.encode_prompt([Message("user", TEXTS[1])]))
    requests = [
        Request(prompt_ids, Budget(max_tokens=60), Sampling(1.0, seed=seed)) for seed in (1, 2)
    ]
    policy = GrammarPolicy(vocabulary, model.get_output_embeddings().weight.shape[0])
    for rollout in Engine(model, vocabulary).generate(requests):
        count = len(rollout.token_ids)
        ids_BT = torch.tensor([[*rollout.prompt_ids, *rollout.token_ids]])
        with torch.no_grad():
            hidden_BTD = model.get_decoder()(input_ids=ids_BT).last_hidden_state
            logprob_BT, _ = policy.logprobs(
                partial(logits_of, model),
                hidden_BTD[:, -count - 1 : -1],
                ids_BT[:, -count:],
                temperature=1.0,
            )
        free_T = ~torch.tensor(rollout.forced)
        sampled_T = torch.tensor(rollout.logprobs)
        assert torch.allclose(logprob_BT[0][free_T], sampled_T[free_T], atol=1e-4)


# ---------------------------------------------------------------------- files and training


def test_a_saved_model_has_the_same_logits(prepared: Prepared, tmp_path: Path) -> None:
    model, vocabulary = prepared.model, prepared.vocabulary
    save_model(model, vocabulary.tokenizer, tmp_path)
    loaded, tokenizer = load_model(tmp_path)
    ids_BT = torch.tensor(some_ids(vocabulary, 20, 20))
    with torch.no_grad():
        assert torch.equal(loaded.eval()(ids_BT).logits, model(ids_BT).logits)
    again = Vocabulary.require(tokenizer)
    assert again.special_ids == vocabulary.special_ids
    assert again.close_id == vocabulary.close_id


SCHEDULE = Schedule(
    tokens=160,
    batch_tokens=40,
    muon_lr=0.0,
    adam_lr=0.01,
    warmup_fraction=0.2,
    seed=5,
    bf16=False,
    attention="eager",  # Gemma 2 has no other
    report_to="none",
    save_every_steps=2,
    activation_checkpointing=False,
)


class Killed(BaseException):
    """As if the process were gone."""


@pytest.mark.parametrize("prepared", CLASSES.values(), indirect=True, scope="module")
def test_a_killed_training_ends_as_an_undisturbed_one(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vocabulary = prepared.vocabulary
    rows = [TokenSequence(ids, (1.0,) * 20) for ids in some_ids(vocabulary, *[20] * 8)]
    train = partial(train_sequences, tokenizer=vocabulary.tokenizer, sequences=rows)
    whole, killed, again = (deepcopy(prepared.model) for _ in range(3))
    train(whole, schedule=SCHEDULE, folder=tmp_path / "whole")
    assert not _same_weights(whole, prepared.model)
    compute, calls = SequenceTrainer.compute_loss, 0

    def counted(self: SequenceTrainer, *inputs: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise Killed
        return compute(self, *inputs, **options)

    with monkeypatch.context() as patch:
        patch.setattr(SequenceTrainer, "compute_loss", counted)
        with pytest.raises(Killed):
            train(killed, schedule=SCHEDULE, folder=tmp_path / "killed")
    assert last_checkpoint(tmp_path / "killed") == str(tmp_path / "killed" / "checkpoint-2")
    train(again, schedule=SCHEDULE, folder=tmp_path / "killed")
    assert _same_weights(whole, again)


def _same_weights(one: PreTrainedModel, other: PreTrainedModel) -> bool:
    weights = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in weights)
