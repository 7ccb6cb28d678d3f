"""Chooses what writes the rollouts of a model: the embedded engine, or a vLLM server.

[rl] of a recipe, model -> RolloutBackend with the model's weights

RL and `steiner rollouts` both decode with it. The engine decodes a plain Llama or Qwen2 of up to
200M parameters with its own copy of the weights (inference/packed_decoder.py), in bf16 if the model
is large and training computes in bf16. It has no copy of a larger model, of another architecture,
or of one with LoRA: their rollouts are decoded in the number format of the weights, which is fp32
in training. Products with 4-bit weights are in the training's format.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from steiner.format.tokenizer import Vocabulary
from steiner.inference.backends import RolloutBackend
from steiner.inference.engine import Engine
from steiner.inference.model_loading import context_length, is_large
from steiner.inference.vllm_backend import VllmBackend
from steiner.models.four_bit import is_4bit
from steiner.models.precision import wants_bf16
from steiner.progress import say
from steiner.recipe import RlRecipe
from steiner.rl.weight_sync import WeightSync


@dataclass(frozen=True, slots=True)
class ModelBackend:
    """A backend with the weights of one model."""

    backend: RolloutBackend
    weight_sync: WeightSync | None = None
    """Set where another program writes the rollouts."""
    has_own_logprobs: bool = False
    """True where it computes with other weights than the model's, or the same ones rounded."""

    def before_rollouts(self, step: int) -> None:
        """Gives another program the model's weights; `step` is the number of optimiser steps."""
        if self.weight_sync:
            self.weight_sync.before_rollouts(step)

    def close(self) -> None:
        """Deletes the folder of weights, if there is one."""
        if self.weight_sync:
            self.weight_sync.close()


def rollout_backend(
    rl: RlRecipe, model: PreTrainedModel, vocabulary: Vocabulary, weights: Path
) -> ModelBackend:
    """The backend that `rl.rollouts` names, with the weights of `model`.

    A server gets them through the folder `weights`, which lies in `rl.vllm_weights` if that is set.
    """
    if rl.rollouts == "engine":
        return _engine(rl, model, vocabulary)
    server = VllmBackend(rl.vllm_url, vocabulary)
    folder = Path(rl.vllm_weights or weights.parent) / weights.name
    return ModelBackend(server, WeightSync(server, model, folder, rl.sync_every), True)


def _engine(rl: RlRecipe, model: PreTrainedModel, vocabulary: Vocabulary) -> ModelBackend:
    in_bf16 = is_large(model) and wants_bf16(rl.precision)
    engine = Engine(
        model,
        vocabulary,
        max_length=context_length(model),
        dtype=torch.bfloat16 if in_bf16 else None,
    )
    is_rounded = engine.dtype != model.dtype
    if is_rounded:
        say("rollouts   decoded in bf16, from a copy of the weights")
    elif in_bf16 and engine.dtype is torch.float32 and not is_4bit(model):
        say("rollouts   decoded in fp32: the engine has no bf16 copy of this model")
    return ModelBackend(engine, has_own_logprobs=is_rounded)
