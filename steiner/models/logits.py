"""The logits of hidden states, as the model's own forward computes them.

hidden states (N, D) -> logits (N, V)

Some architectures change what their head returns: Gemma 2 caps it, Granite and Cohere scale it. A
loss that applied the bare head would train other logits than those that the model decodes with.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.modeling_outputs import MoeModelOutputWithPast


def logits_of(model: PreTrainedModel, hidden_ND: torch.Tensor) -> torch.Tensor:
    """Logits (N, V) of the states (N, D) that the model's decoder returns.

    Runs the forward of the model's class around a decoder that returns its input.
    """
    with _without_layers(model):
        output: Any = type(model).forward(model, inputs_embeds=hidden_ND[None], use_cache=False)
    logits_1NV: torch.Tensor = output.logits
    return logits_1NV[0]


@contextmanager
def _without_layers(model: PreTrainedModel) -> Iterator[None]:
    """Within the block, the part of the model below its head returns the embeddings it gets."""
    name, modules = model.base_model_prefix, model._modules
    layers, modules[name] = modules[name], _Identity()
    try:
        yield
    finally:
        modules[name] = layers


class _Identity(torch.nn.Module):
    def forward(self, *_: Any, inputs_embeds: torch.Tensor, **__: Any) -> _Output:
        return _Output(last_hidden_state=inputs_embeds)


class _Output(MoeModelOutputWithPast):
    """The part of a decoder's output that the heads of all architectures read: the hidden states,
    and fields such as cross-attentions, which are None."""

    def __getattr__(self, name: str) -> None:
        if name.startswith("__"):
            raise AttributeError(name)
