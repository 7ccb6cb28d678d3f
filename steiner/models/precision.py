"""Which number format this machine multiplies matrices fastest in.

-> torch.bfloat16 or torch.float32

Processors differ: with bf16 matrix units it is four times as fast as fp32, without them half as
fast. Asking costs a few milliseconds once a process.
"""

from __future__ import annotations

import time
from functools import cache

import torch

from steiner.types import UserError

_SIZE = 256
_LEAST_REPEATS, _MOST_REPEATS = 3, 30
_ENOUGH_S = 0.1
"""Past this no more repeats: where bf16 is only emulated, they would take seconds."""


@cache
def fastest_dtype(device_type: str = "cpu") -> torch.dtype:
    """The faster of float32 and bfloat16, by timing a small matrix product in each."""
    if device_type != "cpu":
        return torch.bfloat16
    seconds = {dtype: float("inf") for dtype in (torch.float32, torch.bfloat16)}
    begun = time.perf_counter()
    for repeat in range(_MOST_REPEATS):  # in turn, so that a busy moment slows both
        if repeat >= _LEAST_REPEATS and time.perf_counter() - begun > _ENOUGH_S:
            break
        for dtype, least in seconds.items():
            seconds[dtype] = min(least, _product_seconds(dtype))
    return min(seconds, key=lambda dtype: seconds[dtype])


def wants_bf16(precision: str) -> bool:
    """Whether training computes in bf16: as the recipe says, or by measurement where it says auto.

    Raises UserError for another word.
    """
    if precision == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return fastest_dtype(device) is torch.bfloat16
    if precision not in ("bf16", "fp32"):
        raise UserError(f"unknown precision '{precision}'", "one of: auto, bf16, fp32")
    return precision == "bf16"


def _product_seconds(dtype: torch.dtype) -> float:
    left = torch.ones(_SIZE, _SIZE, dtype=dtype)
    right = torch.ones(_SIZE, _SIZE, dtype=dtype)
    start = time.perf_counter()
    torch.mm(left, right)
    return time.perf_counter() - start
