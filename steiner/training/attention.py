"""The attention that a stage trains with: fused (sdpa) or plain (eager), the faster one here.

model, batch shape -> "sdpa" or "eager", written to logs/attention.json in the stage's folder

One decoder layer of the model runs forward and backward with each of the two. Which is faster
depends on the model, the length of rows and the machine. The two round differently, so a resumed
training keeps the choice that it began with.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from steiner.data.batching import TokenBatches, padded_length
from steiner.files import LOGS, read_json, write_json
from steiner.models.precision import default_device
from steiner.processes import from_first, is_first
from steiner.progress import say
from steiner.recipe import Attention
from steiner.types import UserError

_FILE = "attention.json"
_KINDS = ("sdpa", "eager")
_MARGIN = 0.8
"""Plain attention has to take less than this share of the other's time. It keeps all attention
weights for the backward pass, and on a busy machine times differ by 10 % by chance."""
_MAX_FLOPS = 2e10
"""Of one forward and backward pass of the layer: some 0.1 s on two cores. A batch with more is
measured with fewer rows."""
_MIN_REPEATS, _MAX_REPEATS = 2, 10
_MAX_MEASURING_S = 0.5
"""No more repeats after this time."""


@dataclass(frozen=True, slots=True)
class BatchShape:
    """Rows of a batch on one device."""

    rows: int
    tokens: int
    """Of each row."""
    left_padded: bool = False
    """True in RL, where prompts end together. The mask slows fused attention down."""


def choose_attention(
    model: PreTrainedModel, wanted: Attention, shape: BatchShape, folder: Path, *, bf16: bool
) -> str:
    """Sets the attention of `model` and returns its name, sdpa or eager.

    `folder` is the one that the stage writes: what it has in logs/attention.json decides for
    "auto". Of several processes, the first measures. Raises UserError for sdpa where the model has
    none.
    """
    if wanted == "sdpa" and not model._supports_sdpa:
        hint = 'set attention = "auto" or "eager"'
        raise UserError(f"{type(model).__name__} has no fused attention (sdpa)", hint)
    chosen = wanted
    if wanted == "auto":
        chosen = from_first(_automatic(model, shape, folder, bf16=bf16) if is_first() else wanted)
    model.set_attn_implementation(chosen)
    if is_first():
        _record(folder, chosen)
    return chosen


def _automatic(model: PreTrainedModel, shape: BatchShape, folder: Path, *, bf16: bool) -> Any:
    """The choice that the folder has, the only possible one, or the faster one."""
    if (folder / LOGS / _FILE).is_file():
        return read_json(folder / LOGS / _FILE)["attention"]
    if not model._supports_sdpa:  # Gemma 2 caps attention scores, which the fused one cannot
        return "eager"
    if not _can_be_measured(model):
        return "sdpa"
    seconds = attention_seconds(model, shape, bf16=bf16)
    chosen = "eager" if seconds["eager"] < _MARGIN * seconds["sdpa"] else "sdpa"
    times = ", ".join(f"{name} {1000 * seconds[name]:.3g} ms" for name in _KINDS)
    say(f"attention  {chosen}; a layer takes {times}{_reason(chosen, seconds)}")
    return chosen


def _reason(chosen: str, seconds: dict[str, float]) -> str:
    """Why the slower one was chosen, if it was; else empty."""
    if chosen == min(seconds, key=lambda kind: seconds[kind]):
        return ""
    return f", too little to prefer eager (below {100 * _MARGIN:.0f} %)"


def _can_be_measured(model: PreTrainedModel) -> bool:
    """False for weights that are not on the device that trains: FSDP and DeepSpeed move them."""
    return model.device.type == default_device() and _first_layer(model) is not None


def _record(folder: Path, chosen: str) -> None:
    (folder / LOGS).mkdir(parents=True, exist_ok=True)
    write_json(folder / LOGS / _FILE, {"attention": chosen})


def shape_of_batches(batches: TokenBatches) -> BatchShape:
    """The shape of a typical batch on one of the processes.

    The length is the mean over tokens, since every batch has about as many tokens, whatever the
    length of its rows.
    """
    total = sum(batches.lengths)
    mean = sum(length * length for length in batches.lengths) / max(1, total)
    tokens = padded_length(max(1, round(mean)))
    return BatchShape(max(1, batches.batch_tokens // tokens // batches.num_processes), tokens)


def attention_seconds(model: PreTrainedModel, shape: BatchShape, *, bf16: bool) -> dict[str, float]:
    """Shortest time of one decoder layer, forward and backward, with each kind of attention.

    Weights, gradients and the random state stay as they are; the attention set does not.
    """
    layer = _first_layer(model)
    assert layer is not None
    flops = 6 * shape.tokens * sum(weight.numel() for weight in layer.parameters())
    rows = max(1, min(shape.rows, int(_MAX_FLOPS / flops)))
    autocast = partial(torch.autocast, model.device.type, torch.bfloat16, enabled=bf16)
    seconds = dict.fromkeys(_KINDS, float("inf"))
    on_accelerator = [] if model.device.type == "cpu" else [model.device]
    with torch.random.fork_rng(devices=on_accelerator):
        passes = {}
        for kind in _KINDS:
            model.set_attn_implementation(kind)
            with autocast():
                passes[kind] = _LayerPass(model, layer, rows, shape)
        start = time.perf_counter()
        for repeat in range(_MAX_REPEATS):  # in turn, so that a busy moment slows both
            if repeat >= _MIN_REPEATS and time.perf_counter() - start > _MAX_MEASURING_S:
                break
            for kind in _KINDS:
                model.set_attn_implementation(kind)
                seconds[kind] = min(seconds[kind], passes[kind].run(autocast))
    return seconds


class _Reached(Exception):
    """Ends a forward at the first layer."""


class _LayerPass:
    """A layer with the arguments that its model passes to it for a batch: masks and rotations."""

    def __init__(
        self, model: PreTrainedModel, layer: torch.nn.Module, rows: int, shape: BatchShape
    ) -> None:
        self._layer = layer
        self._args: tuple[Any, ...] = ()
        self._kwargs: dict[str, Any] = {}

        def keep(_: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._args, self._kwargs = args, kwargs
            raise _Reached

        hook = layer.register_forward_pre_hook(keep, with_kwargs=True)
        embeddings: Any = model.get_input_embeddings()
        ids_T = torch.arange(shape.tokens, device=model.device) % embeddings.weight.shape[0]
        ids_BT = ids_T.expand(rows, -1)
        mask_BT = torch.ones_like(ids_BT)
        mask_BT[:, 0] = 0
        mask = {"attention_mask": mask_BT} if shape.left_padded else {}
        try:
            with torch.no_grad():
                model.get_decoder()(input_ids=ids_BT, use_cache=False, **mask)
        except _Reached:
            pass
        finally:
            hook.remove()
        hidden_BTD = self._args[0] if self._args else self._kwargs["hidden_states"]
        self._inputs = [hidden_BTD.requires_grad_()]
        self._inputs += [weight for weight in layer.parameters() if weight.requires_grad]

    def run(self, autocast: Any) -> float:
        """Seconds of one forward and backward pass; no gradient is kept."""
        start = time.perf_counter()
        with autocast():
            output = self._layer(*self._args, **self._kwargs)
        hidden_BTD: torch.Tensor = output[0] if isinstance(output, tuple) else output
        gradients = torch.autograd.grad(hidden_BTD.sum(), self._inputs, allow_unused=True)
        float(gradients[0].sum())  # waits for an accelerator
        return time.perf_counter() - start


def _first_layer(model: PreTrainedModel) -> torch.nn.Module | None:
    """The first of the decoder's layers; None for a model that keeps them in another way."""
    lists = [m for m in model.get_decoder().children() if isinstance(m, torch.nn.ModuleList)]
    layers = max(lists, key=len, default=None)
    return layers[0] if layers else None
