"""Compiles the decoder while it trains, where that saves time.

model, batches, Schedule -> whether to compile, and the attention that suits it
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from steiner.data.batching import TokenBatches
from steiner.models.four_bit import is_4bit
from steiner.models.precision import default_device
from steiner.progress import say
from steiner.recipe import Attention
from steiner.training.schedule import Schedule

_WORTH_COMPILING = {"cpu": 1_000_000, "cuda": 50_000_000}
"""Tokens to train on above which compilation pays; it takes up to a minute. On an accelerator, only
rows of one length are compiled."""
_LARGEST_COMPILED = 20_000_000
"""Parameters of a model above which a CPU is not faster compiled: there, matrix products take most
of the time."""


def compiling_pays(model: PreTrainedModel, batches: TokenBatches, schedule: Schedule) -> bool:
    """True if compiled layers save time: in bf16, a small model spends much time between matrix
    products. On a CPU they do so with plain attention only (docs/log.md)."""
    device = default_device()
    if not schedule.bf16 or schedule.tokens < _WORTH_COMPILING[device]:
        return False
    if is_4bit(model) or not shutil.which("g++"):
        return False
    if device == "cuda":
        return not _is_dynamic(batches)
    return schedule.attention != "sdpa" and model.num_parameters() <= _LARGEST_COMPILED


def wanted_attention(schedule: Schedule, *, compiles: bool) -> Attention:
    """The recipe's, but plain attention for compiled layers on a CPU: a step of the embedded model
    takes 84 ms with it, and 120 ms with the fused one. Timing compiled layers would take longer
    than it saves."""
    if schedule.attention == "auto" and compiles and default_device() == "cpu":
        say("attention  eager, the faster with compiled layers")
        return "eager"
    return schedule.attention


@contextmanager
def compiled(model: PreTrainedModel, batches: TokenBatches) -> Iterator[None]:
    """Within the block, the decoder is compiled. Measuring the perplexity of the trained model, in
    evaluation mode, would compile it again."""
    torch._inductor.config.compile_threads = 1  # its worker processes take memory, not time, here
    decoder = model.get_decoder()
    decoder.compile(dynamic=_is_dynamic(batches))
    try:
        yield
    finally:
        decoder._compiled_call_impl = None


def _is_dynamic(batches: TokenBatches) -> bool:
    """True if rows differ in length."""
    return len(set(batches.lengths)) > 1
