"""A small model that knows the reasoning tokens."""

import pytest
import torch
from transformers import PreTrainedModel

from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens, train_tokenizer
from tests.small_model import small_qwen2


@pytest.fixture
def vocabulary() -> Vocabulary:
    tokenizer = train_tokenizer(["take two jugs"] * 20, 400)
    add_reasoning_tokens(tokenizer)
    return Vocabulary.require(tokenizer)


@pytest.fixture
def model(vocabulary: Vocabulary) -> PreTrainedModel:
    torch.manual_seed(0)
    return small_qwen2(len(vocabulary.tokenizer))
