"""Rows trained alone give peft's outputs and gradients, without anything as large as the matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM

from steiner.training.trained_rows import compute_rows_alone

ROWS = [3, 90, 91]
IDS = torch.tensor([[1, 90, 3, 3, 40], [91, 5, 5, 90, 2]])
SHAPE = {"vocab_size": 96, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}
HEADS = {"num_attention_heads": 2, "num_key_value_heads": 1}


def _model(kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    if kind == "scaled":  # Gemma multiplies its embeddings
        return Gemma3ForCausalLM(Gemma3TextConfig(**SHAPE, **HEADS, head_dim=8))
    return LlamaForCausalLM(LlamaConfig(**SHAPE, **HEADS, tie_word_embeddings=kind == "tied"))


def _adapted(kind: str) -> Any:
    layers = ["model.embed_tokens"] + (["lm_head"] if kind == "untied" else [])
    config = LoraConfig(
        r=2,
        target_modules=["o_proj"],
        trainable_token_indices=dict.fromkeys(layers, ROWS),
        task_type="CAUSAL_LM",
    )
    return get_peft_model(_model(kind), config)  # type: ignore[arg-type]


def _graph(tensor: torch.Tensor) -> Iterator[Any]:
    """All nodes behind the tensor."""
    nodes, seen = [tensor.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            nodes += [below for below, _ in node.next_functions]
            yield node


@pytest.mark.parametrize("kind", ["tied", "untied", "scaled"])
def test_outputs_and_gradients_are_those_of_peft(kind: str) -> None:
    found: list[tuple[torch.Tensor, dict[str, torch.Tensor]]] = []
    for alone in (False, True):
        model = _adapted(kind).double()
        for name, weight in model.named_parameters():
            if "trainable_tokens_delta" in name:
                weight.data += torch.arange(16) / 10
        if alone:
            compute_rows_alone(model)
        logits = model(input_ids=IDS).logits
        logits.log_softmax(-1).square().sum().backward()
        gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        found.append((logits, gradients))
    (theirs, their_gradients), (ours, our_gradients) = found
    torch.testing.assert_close(ours, theirs)
    assert ours.std() > 0
    assert sum("trainable_tokens_delta" in name for name in our_gradients) == 1 + (kind == "untied")
    torch.testing.assert_close(our_gradients, their_gradients)


@pytest.mark.parametrize("kind", ["tied", "untied", "scaled"])
def test_no_gradient_is_as_large_as_the_matrix(kind: str) -> None:
    sizes = []
    for alone in (False, True):
        model = _adapted(kind)
        if alone:
            compute_rows_alone(model)
        logits = model(input_ids=IDS).logits
        large: list[torch.Size] = []
        for node in _graph(logits):
            node.register_hook(
                lambda ins, _, large=large: large.extend(
                    g.shape for g in ins if g is not None and g.shape == (96, 16)
                )
            )
        logits.sum().backward()
        sizes.append(len(large))
    assert sizes[0] > 0
    assert sizes[1] == 0


def test_a_merged_or_disabled_adapter_computes_as_peft_does() -> None:
    model = _adapted("tied")
    compute_rows_alone(model)
    for name, weight in model.named_parameters():
        if "trainable_tokens_delta" in name:
            weight.data += 1
    with_adapter = model(input_ids=IDS).logits
    with model.disable_adapter():
        without = model(input_ids=IDS).logits
    torch.testing.assert_close(without, _model("tied")(input_ids=IDS).logits)
    assert not torch.allclose(without, with_adapter)
    merged = model.merge_and_unload()(input_ids=IDS).logits
    torch.testing.assert_close(merged, with_adapter)


def test_rows_of_another_number_format_are_cast_as_peft_does() -> None:
    """4-bit models have fp32 embeddings and bf16 adapters, or the other way round."""
    model = _adapted("untied")
    for name, weight in model.named_parameters():
        if "trainable_tokens_delta" in name:
            weight.data = (weight.data + 1).bfloat16()
    theirs = model(input_ids=IDS).logits
    compute_rows_alone(model)
    torch.testing.assert_close(model(input_ids=IDS).logits, theirs)
