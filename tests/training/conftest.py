"""A tokenizer that knows the families' words, and tiny models of random weights."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from steiner.language.tokenizer import train_tokenizer
from steiner.problems import families, load_phrases
from steiner.recipe import BaseRecipe
from steiner.training.base import new_model

TINY = BaseRecipe(
    hidden_size=32,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    intermediate_size=64,
    max_positions=512,
)


@pytest.fixture(scope="session")
def base_tokenizer() -> PreTrainedTokenizerBase:
    """A base's, without the 14 tokens; not to be changed."""
    words = [text for name in families() for text in load_phrases(name).wording]
    return train_tokenizer(words * 5, 600)


@pytest.fixture
def tokenizer(base_tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """A copy that tokens may be added to."""
    return deepcopy(base_tokenizer)


@pytest.fixture(scope="session")
def make_model(base_tokenizer: PreTrainedTokenizerBase) -> Callable[[], Qwen2ForCausalLM]:
    """Makes the same model each time."""

    def make() -> Qwen2ForCausalLM:
        torch.manual_seed(0)
        return new_model(TINY, base_tokenizer)

    return make
