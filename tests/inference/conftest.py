"""A small tokenizer and random models."""

import pytest
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM

from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens, train_tokenizer
from tests.small_model import small_qwen2


@pytest.fixture(scope="session")
def vocabulary():
    tokenizer = train_tokenizer(["take two jugs and fill them from the tap"] * 20, 512)
    add_reasoning_tokens(tokenizer)
    return Vocabulary.require(tokenizer)


@torch.no_grad()
def emphasise_structure(weight):
    """Makes a random model often choose the closing token and the 14 tokens, which are the last."""
    weight[2] *= 3
    weight[-20:] *= 3


def random_qwen2(size):
    torch.manual_seed(0)
    model = small_qwen2(
        size, 48, num_hidden_layers=3, num_attention_heads=6, initializer_range=0.2
    ).eval()
    emphasise_structure(model.get_input_embeddings().weight)
    for name, parameter in model.named_parameters():
        if "norm" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, 1.0 if "norm" in name else 0.0, 0.3)
    return model


def random_llama(size):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        intermediate_size=96,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = LlamaForCausalLM(config).eval()
    emphasise_structure(model.get_output_embeddings().weight)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, 1.0, 0.3)
    return model


def random_neox(size):
    torch.manual_seed(0)
    config = GPTNeoXConfig(
        vocab_size=size,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=96,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = GPTNeoXForCausalLM(config).eval()
    emphasise_structure(model.get_output_embeddings().weight)
    return model


@pytest.fixture(scope="session")
def qwen2(vocabulary):
    return random_qwen2(len(vocabulary.tokenizer) + 3)


@pytest.fixture(scope="session")
def llama(vocabulary):
    return random_llama(len(vocabulary.tokenizer) + 3)


@pytest.fixture(scope="session")
def neox(vocabulary):
    return random_neox(len(vocabulary.tokenizer))
