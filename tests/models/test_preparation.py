"""New embedding rows: their values, and that they survive saving and loading."""

from __future__ import annotations

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
from steiner.models.preparation import add_reasoning_vocabulary, grow_embeddings

MakeModel = Callable[[], Qwen2ForCausalLM]


@pytest.mark.parametrize("tied", [True, False])
def test_new_rows_start_near_the_mean_and_old_ones_stay(make_model: MakeModel, tied: bool) -> None:
    model, old = make_model(), make_model()
    if not tied:
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach() * 3)
    heads = [model.get_input_embeddings().weight.clone(), model.lm_head.weight.clone()]
    size = old.config.vocab_size
    grow_embeddings(model, size + 14, 14)
    assert model.config.vocab_size == size + 14
    grown = (model.get_input_embeddings().weight, model.get_output_embeddings().weight)
    assert (grown[0] is grown[1]) == tied
    for weight_VD, old_VD in zip(grown, heads, strict=True):
        assert torch.equal(weight_VD[:size], old_VD)
        new_D = weight_VD[size:]
        assert len({tuple(row.tolist()) for row in new_D}) == 14  # no two alike
        # Noise of half the deviation: its mean over 14 rows and 32 columns is
        # 0.5 / sqrt(14 * 32) = 0.024 deviations, its deviation 0.5.
        deviation = old_VD.std()
        offset = (new_D - old_VD.mean(0)) / deviation
        assert abs(offset.mean()) < 0.12
        assert 0.4 < offset.std() < 0.6
    ids = torch.tensor([[1, 2, 3]])
    if tied:
        assert torch.allclose(model(ids).logits[..., :size], old(ids).logits, atol=1e-5)


def test_room_that_is_there_already_is_used(make_model: MakeModel) -> None:
    """Of a padded vocabulary only the rows of the new tokens change."""
    model, old = make_model(), make_model()
    size = old.config.vocab_size
    grow_embeddings(model, size - 3, 14)
    assert model.config.vocab_size == size
    changed = (model.lm_head.weight != old.lm_head.weight).any(1)
    assert changed.nonzero().flatten().tolist() == list(range(size - 17, size - 3))


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
