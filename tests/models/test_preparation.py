"""New embedding rows: their values, and that they survive saving and loading."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    Qwen2ForCausalLM,
)

from steiner.format.tokenizer import add_reasoning_tokens
from steiner.models.preparation import add_reasoning_vocabulary

MakeModel = Callable[[], Qwen2ForCausalLM]


@pytest.mark.parametrize("tied", [True, False])
def test_new_rows_start_from_their_words_and_old_ones_stay(
    make_model: MakeModel, base_tokenizer: PreTrainedTokenizerBase, tied: bool
) -> None:
    model, old = make_model(), make_model()
    if not tied:
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach() * 3)
    before = [model.get_input_embeddings().weight.clone(), model.lm_head.weight.clone()]
    tokenizer = copy.deepcopy(base_tokenizer)
    size = len(tokenizer)
    add_reasoning_vocabulary(model, tokenizer)
    assert model.config.vocab_size == len(tokenizer) == size + 14
    after = (model.get_input_embeddings().weight, model.get_output_embeddings().weight)
    assert (after[0] is after[1]) == tied
    words = base_tokenizer.encode(" reasoning step reflection end", add_special_tokens=False)
    [new] = tokenizer.convert_tokens_to_ids(["<|reasoning_step_reflection_end|>"])
    for weight_VD, old_VD in zip(after, before, strict=True):
        assert torch.equal(weight_VD[:size], old_VD)
        assert len({tuple(row.tolist()) for row in weight_VD[size:]}) == 14  # no two alike
        off_D = (weight_VD[new] - old_VD[words].mean(0)) / old_VD.std()
        assert 0.05 < off_D.std() < 0.15  # noise of a tenth of the deviation
    ids = torch.tensor([[1, 2, 3]])
    if tied:
        assert torch.allclose(model(ids).logits[..., :size], old(ids).logits, atol=1e-5)


def test_room_that_is_there_already_is_used(
    make_model: MakeModel, base_tokenizer: PreTrainedTokenizerBase
) -> None:
    """Of a padded vocabulary only the rows of the new tokens change."""
    model = make_model()
    size = len(base_tokenizer)
    model.resize_token_embeddings(size + 20, mean_resizing=False)
    old_VD = model.lm_head.weight.detach().clone()
    add_reasoning_vocabulary(model, copy.deepcopy(base_tokenizer))
    assert model.config.vocab_size == size + 20
    changed = (model.lm_head.weight != old_VD).any(1)
    assert changed.nonzero().flatten().tolist() == list(range(size, size + 14))


@pytest.mark.parametrize("padding", [0, 40])
@pytest.mark.parametrize("tied", [True, False])
def test_new_rows_survive_saving_and_loading(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, tied: bool, padding: int
) -> None:
    size = len(tokenizer)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size + padding,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=4,
            tie_word_embeddings=tied,
        )
    )
    add_reasoning_vocabulary(model, tokenizer)
    assert add_reasoning_tokens(tokenizer) == 0
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.config.tie_word_embeddings is tied
    for before, after in (
        (model.get_input_embeddings(), loaded.get_input_embeddings()),
        (model.get_output_embeddings(), loaded.get_output_embeddings()),
    ):
        assert len(after.weight) == max(size + 14, size + padding)
        assert torch.equal(before.weight[size : size + 14], after.weight[size : size + 14])
    rows = loaded.get_output_embeddings().weight[size : size + 14]
    assert len({tuple(row.tolist()) for row in rows}) == 14
