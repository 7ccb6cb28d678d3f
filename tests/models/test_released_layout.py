"""The layout of the released Steiner: a padded Qwen2.5-32B vocabulary, tokens 151665 to 151678."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2ForCausalLM

from steiner.format.grammar import SPECIAL_TOKENS
from steiner.inference.model_loading import load_reasoning_model
from steiner.inference.reasoner import Reasoner
from steiner.models.loading import load_model
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.pipeline.export import export
from steiner.pipeline.plan import Devices, plan, shape_of
from steiner.recipe_file import load_recipe
from tests.chat_layouts import CHATML
from tests.small_model import small_qwen2

PIECES, SPECIAL, ROWS = 151_643, 22, 152_064
IDS = range(PIECES + SPECIAL, PIECES + SPECIAL + 14)
QUESTION = "Make 24 from 3, 5, 7, 9."


def _tokenizer() -> PreTrainedTokenizerFast:
    """As large as Qwen2.5's, with bytes as its only pieces in use."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    unused = (f"unused{number}" for number in range(PIECES - len(alphabet)))
    vocab = {piece: number for number, piece in enumerate([*alphabet, *unused])}
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    named = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer.add_special_tokens([*named, *(f"<|{n}|>" for n in range(SPECIAL - len(named)))])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHATML,
        clean_up_tokenization_spaces=False,
    )


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model in that layout, saved."""
    folder = tmp_path_factory.mktemp("released")
    torch.manual_seed(0)
    model: Qwen2ForCausalLM = small_qwen2(
        ROWS, hidden_size=16, tie_word_embeddings=False, max_position_embeddings=512
    )
    tokenizer = _tokenizer()
    add_reasoning_vocabulary(model, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_the_tokens_take_rows_that_were_padding(released: Path) -> None:
    model, tokenizer = load_model(released)
    assert sorted(tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS))) == list(IDS)
    assert model.get_input_embeddings().weight.shape[0] == ROWS
    assert model.get_output_embeddings().weight.shape[0] == ROWS


def test_it_reasons_and_never_writes_padding(released: Path) -> None:
    _, vocabulary = load_reasoning_model(released)
    assert sorted(vocabulary.special_ids) == list(IDS)
    answer = Reasoner.load(released).solve(
        QUESTION, max_steps=2, max_tokens=200, temperature=1.0, seed=3
    )
    (rollout,) = answer.rollouts
    assert rollout.well_formed
    assert 1 <= len(answer.steps) <= 2
    assert max(rollout.token_ids) == max(IDS)


def test_it_is_planned(released: Path) -> None:
    shape = shape_of(str(released))
    assert (shape.vocabulary, shape.embeddings) == (ROWS, 2 * ROWS * 16)
    stages = plan(load_recipe("qwen2.5-32b"), shape, Devices(32, sharded=True))
    assert stages[0].parts["logits"] == 12 * ROWS * 512


def test_it_is_exported(released: Path, tmp_path: Path) -> None:
    export(released, tmp_path / "published")
    model, tokenizer = load_model(tmp_path / "published", torch.bfloat16)
    assert sorted(tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS))) == list(IDS)
    ids = torch.tensor([[5, *IDS, 6]])
    with torch.no_grad():
        expected = load_model(released, torch.bfloat16)[0](ids).logits
        assert torch.equal(model(ids).logits, expected)
