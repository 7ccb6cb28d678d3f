"""The number format in which this machine computes, and the settings that results depend on.

-> torch.bfloat16 or torch.float32

Processors differ: with bf16 matrix units bf16 is four times as fast as fp32, without them half as
fast. Measuring it takes a few milliseconds, once per process.
"""

from __future__ import annotations

import time
from functools import cache

import torch

from steiner.types import UserError

_SIZE = 256
_MIN_REPEATS, _MAX_REPEATS = 3, 30
_MAX_MEASURING_S = 0.1
"""No more repeats after this time: if bf16 is emulated, all of them would take seconds."""


def fastest_dtype(device_type: str = "") -> torch.dtype:
    """The faster of float32 and bfloat16 on devices of that type, by default the type that models
    are loaded onto. On a CPU, by timing a small matrix product in each."""
    is_cpu = (device_type or default_device()) == "cpu"
    return _fastest_on_cpu() if is_cpu else torch.bfloat16


@cache
def _fastest_on_cpu() -> torch.dtype:
    seconds = {dtype: float("inf") for dtype in (torch.float32, torch.bfloat16)}
    start = time.perf_counter()
    for repeat in range(_MAX_REPEATS):  # the two take turns, so that a busy moment slows both
        if repeat >= _MIN_REPEATS and time.perf_counter() - start > _MAX_MEASURING_S:
            break
        for dtype, fewest in seconds.items():
            seconds[dtype] = min(fewest, _product_seconds(dtype))
    return min(seconds, key=lambda dtype: seconds[dtype])


def default_device() -> str:
    """The type of the device that models are loaded onto and trained on: cuda or cpu."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def wants_bf16(precision: str) -> bool:
    """True if training computes in bf16: bf16, fp32, or auto for the faster of the two.

    Raises UserError for another word.
    """
    if precision == "auto":
        return fastest_dtype(default_device()) is torch.bfloat16
    if precision not in ("bf16", "fp32"):
        raise UserError(f"unknown precision '{precision}'", "one of: auto, bf16, fp32")
    return precision == "bf16"


def compute_settings(dtype: str = "") -> dict[str, str | int]:
    """The settings that results depend on, for a run's manifest and report: device, number format,
    number of threads and torch version. `dtype` is the format that was used; by default, the one
    in which this machine computes faster.

    Threads change the order of sums. On the tiny recipe's RL model, 1 and 2 threads wrote the same
    tokens for all of 91 questions, greedy and sampled, in fp32 and in bf16; log-probabilities
    differed by at most 2.1e-5 in fp32, and not at all in bf16.
    """
    device = default_device()
    return {
        "device": device,
        "dtype": dtype or dtype_name(fastest_dtype(device)),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def dtype_name(dtype: torch.dtype) -> str:
    """`bfloat16` for torch.bfloat16."""
    return str(dtype).removeprefix("torch.")


def _product_seconds(dtype: torch.dtype) -> float:
    left = torch.ones(_SIZE, _SIZE, dtype=dtype)
    right = torch.ones(_SIZE, _SIZE, dtype=dtype)
    start = time.perf_counter()
    torch.mm(left, right)
    return time.perf_counter() - start
