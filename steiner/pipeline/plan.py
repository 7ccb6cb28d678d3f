"""The needs of a recipe before it runs: memory of each training stage by part, FLOPs and time.

Recipe, model configuration, devices -> StagePlans -> a table as text

Memory in bytes per device, for P parameters of which T are trained, L layers of width D and feed
forward width F, and N tokens at a time on that device:

    weights       4 P                          fp32; products are in bf16 where that is faster
                  0.52 W + 4 (P - W)           with 4 bits for each of W weights of linear layers
    gradients     4 T
    optimiser     8 T                          AdamW; 4 per weight where Muon trains it
    activations   (34 D + 12 F) L N            of the backward pass; with checkpointing
                  4 D L N + (34 D + 12 F) N    the input of each layer, and one layer
    logits        12 V C                       C = 512 positions at a time
    KV cache      8 L K H S                    fp32 as the trained weights; K heads of size H,
                                               S columns of all rows, as kv_cache.py grows; at
                                               most the engine's share of what the weights leave

The bytes per activation are those that bf16 training of SmolLM2-135M was measured to keep; compare
the 34 of Korthikanti et al. 2022 (arXiv:2205.05198, equation 1) for another feed-forward layer.
FLOPs are 6 T for each token trained on, and 2 P more with checkpointing; frozen weights cost 4.

Decoding in RL reads all weights, and half of the KV cache on average, for each token of the rows
that decode together. Every rollout counts as `rl.max_tokens` long.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from steiner.inference.engine import MAX_BATCH
from steiner.inference.kv_cache import doubled
from steiner.inference.kv_memory import SHARE, free_memory
from steiner.models.four_bit import BYTES_PER_WEIGHT
from steiner.models.loading import READ_ERRORS, check_causal, load_error
from steiner.models.precision import default_device, fastest_dtype
from steiner.models.sources import base_of_adapter, find_model
from steiner.processes import local_world_size
from steiner.recipe import CptRecipe, Recipe, SftRecipe
from steiner.training.lora import LoraRecipe, check_lora
from steiner.training.losses import CHUNK_TOKENS
from steiner.types import UserError

_ACTIVATION_BYTES = {"width": 34, "feed_forward": 12}
_LOGIT_BYTES = 12
"""A logit in fp32, its gradient, and one temporary copy."""
_PROGRAM = 0.7e9
"""Bytes of Python and its libraries, measured on a CPU."""
_EFFICIENCY = 0.35
"""Share of the rate of a large matrix product that training reaches."""
_PROBE_SIZE, _PROBES = 1024, 5


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The numbers of a model that memory and time depend on."""

    architecture: str
    parameters: int
    embeddings: int
    """Parameters of the embeddings and of an untied head."""
    layers: int
    width: int
    feed_forward: int
    vocabulary: int
    kv_width: int
    """Key and value heads times their size."""
    linear_weights: int
    """Weights of all linear layers but the head."""
    linear_widths: int
    """Sum of inputs and outputs of all linear layers but the head: LoRA trains this times its
    rank."""


@dataclass(frozen=True, slots=True)
class Devices:
    """Equal devices that work together."""

    count: int = 1
    memory: float = 0.0
    """Bytes of each; 0 if unknown."""
    flops: float = 0.0
    """Rate of each that training reaches, per second."""
    bandwidth: float = 0.0
    """Bytes per second that each reads from its memory; 0 leaves decoding out of the time."""
    price: float = 0.0
    """Of an hour of each."""
    sharded: bool = False
    """Weights, gradients and optimiser states are spread over the devices (FSDP2, ZeRO-3)."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """The needs of one stage."""

    name: str
    parts: Mapping[str, float]
    """Part -> bytes per device."""
    flops: float
    """Of all devices."""
    hint: str
    """What makes it smaller."""
    decoding: float = 0.0
    """Bytes that decoding reads on each device."""

    @property
    def total(self) -> float:
        """Bytes per device of all parts."""
        return sum(self.parts.values())

    @property
    def needed(self) -> float:
        """Bytes per device, the program included."""
        return self.total + _PROGRAM

    def seconds(self, devices: Devices) -> float:
        """Time of the stage. Decoding is limited by memory, training by arithmetic."""
        decoding = self.decoding / devices.bandwidth if devices.bandwidth else 0.0
        return self.flops / (devices.flops * devices.count) + decoding


def shape_of(source: str) -> ModelShape:
    """The shape of a model, from its configuration alone; allocates no memory.

    Raises UserError if there is no such model, or if it is no causal language model.
    """
    found = find_model(source)
    while base := base_of_adapter(found):
        found = base
    try:
        config = AutoConfig.from_pretrained(found.name, **found.options)
        check_causal(source, config)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except READ_ERRORS as error:
        raise load_error(source, error) from error
    text = config.get_text_config()
    heads = text.num_attention_heads
    head_size = getattr(text, "head_dim", None) or text.hidden_size // heads
    tables = {
        id(m.weight): m for m in (model.get_input_embeddings(), model.get_output_embeddings())
    }
    linear = [
        m for m in model.modules() if isinstance(m, torch.nn.Linear) and id(m.weight) not in tables
    ]
    return ModelShape(
        architecture=type(model).__name__,
        parameters=sum(weight.numel() for weight in model.parameters()),
        embeddings=sum(module.weight.numel() for module in tables.values()),
        layers=text.num_hidden_layers,
        width=text.hidden_size,
        feed_forward=getattr(text, "intermediate_size", 4 * text.hidden_size),
        vocabulary=text.vocab_size,
        kv_width=(getattr(text, "num_key_value_heads", None) or heads) * head_size,
        linear_weights=sum(layer.weight.numel() for layer in linear),
        linear_widths=sum(layer.in_features + layer.out_features for layer in linear),
    )


def plan(recipe: Recipe, shape: ModelShape, devices: Devices) -> list[StagePlan]:
    """The needs of CPT, SFT and RL.

    Raises UserError for a stage whose settings of LoRA do not fit together.
    """
    if devices.count < 1:
        raise UserError(f"--gpus is {devices.count}", "give 1 or more")
    for stage in (recipe.cpt, recipe.sft, recipe.rl):
        # A plan for another machine needs no bitsandbytes on this one.
        check_lora(replace(stage, lora_4bit=stage.lora_4bit and not stage.lora_rank))
    stages = (("cpt", recipe.cpt), ("sft", recipe.sft))
    return [
        *(_supervised(name, s, shape, devices) for name, s in stages),
        _rl(recipe, shape, devices),
    ]


def _supervised(
    name: str, stage: CptRecipe | SftRecipe, shape: ModelShape, devices: Devices
) -> StagePlan:
    trained = _trained(shape, stage.lora_rank)
    tokens = max(1.0, stage.batch_tokens / devices.count)
    parts = _states(shape, trained, devices, stage)
    parts["activations"] = _kept_bytes(shape, checkpointing=stage.activation_checkpointing) * tokens
    parts["logits"] = _LOGIT_BYTES * shape.vocabulary * CHUNK_TOKENS
    per_token = _flops(shape, trained, checkpointing=stage.activation_checkpointing)
    hint = f"{name}.batch_tokens = {stage.batch_tokens // 2}"
    if devices.count > 1 and not devices.sharded:
        hint = "to spread the weights over the devices (plan --sharded, docs/scaling.md)"
    elif not stage.lora_rank:
        hint = f"{name}.lora_rank = 16 with muon_lr = 0, or {hint}"
    elif not stage.lora_4bit:
        hint = f"{name}.lora_4bit = true, or {hint}"
    if not stage.activation_checkpointing:
        hint = f"{name}.activation_checkpointing = true"
    return StagePlan(name, parts, per_token * stage.tokens, hint)


def _rl(recipe: Recipe, shape: ModelShape, devices: Devices) -> StagePlan:
    rl = recipe.rl
    rollouts = rl.problems_per_step * rl.rollouts_per_problem
    rows = min(rl.rollouts_per_batch, max(1, rollouts // devices.count))
    trained = _trained(shape, rl.lora_rank)
    whole = replace(devices, sharded=False)  # rollouts need the whole weights on each device
    parts = _states(shape, trained, whole, rl)
    if rl.kl_beta:
        parts["weights"] += 4 * shape.parameters
    positions = 1.25 * rl.max_tokens  # a question is about a quarter of a search
    at_once = min(MAX_BATCH, max(1, round(rollouts * rl.oversample / devices.count)))
    whole_cache = 4 * 2 * shape.layers * shape.kv_width * at_once * doubled(round(positions))
    cache = float(whole_cache)
    if devices.memory:
        left = max(0.0, devices.memory - _PROGRAM - parts["weights"])
        cache = min(cache, SHARE * left)  # above it, rollouts wait
    parts["KV cache"] = cache
    decoded_rows = rl.steps * rollouts * rl.oversample / devices.count
    rows_at_once = max(1.0, at_once * cache / whole_cache)
    read = rl.max_tokens * decoded_rows / rows_at_once * (parts["weights"] + cache / 2)
    kept = _kept_bytes(shape, checkpointing=rl.activation_checkpointing)
    parts["activations"] = kept * rows * positions
    parts["logits"] = _LOGIT_BYTES * shape.vocabulary * CHUNK_TOKENS
    tokens = rl.steps * rollouts * rl.max_tokens
    per_token = _flops(shape, trained, checkpointing=rl.activation_checkpointing)
    sampling = 2 * shape.parameters * rl.oversample
    flops = tokens * (per_token * rl.updates_per_generation + sampling)
    hint = "a smaller rl.max_tokens"
    if rows > 1:
        hint = f"rl.rollouts_per_batch = {max(1, rows // 2)}"
    elif not rl.lora_rank:
        hint = "rl.lora_rank = 16"
    elif not rl.lora_4bit:
        hint = "rl.lora_4bit = true"
    if not rl.activation_checkpointing:
        hint = "rl.activation_checkpointing = true"
    return StagePlan("rl", parts, flops, hint, read)


def _trained(shape: ModelShape, lora_rank: int) -> int:
    """Parameters with gradients."""
    return lora_rank * shape.linear_widths if lora_rank else shape.parameters


def _flops(shape: ModelShape, trained: int, *, checkpointing: bool) -> int:
    """FLOPs of the forward and backward pass of one token."""
    frozen = max(0, shape.parameters - trained)
    return 6 * trained + 4 * frozen + 2 * shape.parameters * checkpointing


def _kept_bytes(shape: ModelShape, *, checkpointing: bool) -> float:
    """Bytes of activations that are kept for the backward pass of one token."""
    layer = _layer_bytes(shape)
    if checkpointing:
        return 4 * shape.width * shape.layers + layer
    return shape.layers * layer


def _layer_bytes(shape: ModelShape) -> float:
    """Bytes that one layer keeps for the backward pass of one token."""
    rates = _ACTIVATION_BYTES
    return rates["width"] * shape.width + rates["feed_forward"] * shape.feed_forward


def _states(
    shape: ModelShape, trained: int, devices: Devices, stage: LoraRecipe
) -> dict[str, float]:
    share = devices.count if devices.sharded else 1
    by_muon = trained - shape.embeddings if stage.muon_lr else 0
    packed = shape.linear_weights if stage.lora_4bit else 0
    return {
        "weights": (BYTES_PER_WEIGHT * packed + 4 * (shape.parameters - packed)) / share,
        "gradients": 4 * trained / share,
        "optimiser": (8 * trained - 4 * by_muon) / share,
    }


def device_memory() -> float:
    """Free bytes of the accelerator, or a process's part of the free main memory."""
    if torch.cuda.is_available():
        return float(free_memory(torch.device("cuda", torch.cuda.current_device())))
    return free_memory(torch.device("cpu")) / local_world_size()


def training_rate() -> float:
    """FLOPs per second that training reaches here: a share of a large matrix product's rate."""
    device = default_device()
    one = torch.ones(_PROBE_SIZE, _PROBE_SIZE, dtype=fastest_dtype(device), device=device)
    seconds = []
    for _ in range(_PROBES):
        start = time.perf_counter()
        float((one @ one)[0, 0])
        seconds.append(time.perf_counter() - start)
    return _EFFICIENCY * 2 * _PROBE_SIZE**3 / min(seconds)


def plan_table(shape: ModelShape, devices: Devices, plans: Sequence[StagePlan]) -> str:
    """The plan as text: a row for each part, a column for each stage."""
    names = list(dict.fromkeys(part for each in plans for part in each.parts))
    lines = [
        f"{shape.architecture}, {shape.parameters:,} parameters",
        _row("GB per device", [each.name for each in plans]),
        *(_row(name, [_gb(each.parts.get(name, 0.0)) for each in plans]) for name in names),
        _row("program", [_gb(_PROGRAM)] * len(plans)),
        _row("together", [_gb(each.needed) for each in plans]),
    ]
    if devices.memory:
        lines += _fit_lines(devices.memory, plans)
    times = [each.seconds(devices) for each in plans]
    lines.append(_row("FLOPs", [f"{each.flops:.1e}" for each in plans]))
    lines.append(_row("time, about", [_duration(seconds) for seconds in times]))
    hours = [seconds / 3600 * devices.count for seconds in times]
    if devices.price:
        lines.append(_row("cost, about", [f"{devices.price * each:.2f}" for each in hours]))
    lines.append(_rates(devices))
    return "\n".join(lines)


def _fit_lines(memory: float, plans: Sequence[StagePlan]) -> list[str]:
    """A row that says which stages fit into `memory` bytes, and how the others could."""
    fits = [each.needed <= memory for each in plans]
    hints = [
        f"{each.name} does not fit: try {each.hint}"
        for each, ok in zip(plans, fits, strict=True)
        if not ok
    ]
    name = f"fits in {memory / 1e9:.4g} GB"
    return [_row(name, ["yes" if ok else "no" for ok in fits]), *hints]


def _rates(devices: Devices) -> str:
    line = f"at {devices.flops / 1e12:.3g} TFLOP/s on each of {devices.count}"
    if devices.bandwidth:
        return f"{line}; decoding reads {devices.bandwidth / 1e9:g} GB/s"
    return f"{line}; RL's time is without decoding, which --bandwidth adds"


def _row(name: str, cells: Sequence[Any]) -> str:
    return f"{name:<18}" + "".join(f"{cell:>12}" for cell in cells)


def _gb(count: float) -> str:
    """`13.20`, or `0.0046` for what is small."""
    return f"{count / 1e9:.{2 if count >= 1e8 else 4}f}" if count else "0"


def _duration(seconds: float) -> str:
    """`35 s`, `12 min`, `5.2 h` or `3.1 days`."""
    for size, name in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.2g} s"
