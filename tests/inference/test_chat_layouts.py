"""Models with other chat layouts than the embedded one reason under the grammar, end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from steiner.inference.reasoner import Reasoner
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.types import StopReason
from tests.chat_layouts import LAYOUTS, make_tokenizer


@pytest.mark.parametrize("name", ["llama3", "gemma", "mistral"])
def test_a_prepared_model_is_saved_loaded_and_asked(name: str, tmp_path: Path) -> None:
    tokenizer = make_tokenizer(LAYOUTS[name])
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = LlamaForCausalLM(config)
    vocabulary = add_reasoning_vocabulary(model, tokenizer)
    assert model.config.vocab_size == len(tokenizer)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)

    reasoner = Reasoner.load(tmp_path)
    assert reasoner.vocabulary.close_id == vocabulary.close_id
    answer = reasoner.solve("Make 24 from 3, 5, 7, 9.", max_steps=2, max_tokens=150)
    (rollout,) = answer.rollouts
    assert rollout.well_formed
    assert rollout.token_ids[-1] == vocabulary.close_id
    assert 1 <= len(answer.steps) <= 2
    assert answer.stop_reason in (StopReason.END, StopReason.LENGTH)
