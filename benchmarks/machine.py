"""This machine: cores, memory, instruction sets, and the speed of matrix products.

-> rates in GFLOP/s, a sentence

Timings mean little without these rates, so they are reported together.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch

from benchmarks.results import Measured

_SIZE = 1536
_REPEATS = 8
_ENOUGH_S = 4.0
"""No more repeats after this time: a product in an emulated format takes as long."""
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def measured_machine() -> Iterator[Measured]:
    """Both matrix-product rates."""
    for name, rate in matmul_rates().items():
        yield Measured(f"{name} matrix product", rate, rate, rate, "GFLOP/s")


def matmul_rates() -> dict[str, float]:
    """GFLOP/s of a matrix product in fp32 and bf16: the best of several, since other programs may
    compute."""
    return {"fp32": matmul_rate(torch.float32), "bf16": matmul_rate(torch.bfloat16)}


def matmul_rate(dtype: torch.dtype) -> float:
    """GFLOP/s in one number format."""
    left, right = (torch.rand(_SIZE, _SIZE).to(dtype) for _ in range(2))
    seconds: list[float] = []
    while len(seconds) < _REPEATS and sum(seconds) < _ENOUGH_S:
        start = time.perf_counter()
        torch.mm(left, right)
        seconds.append(time.perf_counter() - start)
    return 2 * _SIZE**3 / min(seconds) / 1e9


def rates_note() -> str:
    """The current rates, for the note of a timing."""
    rates = ", ".join(f"{name} {rate:.0f}" for name, rate in matmul_rates().items())
    return f"matrix products on this machine: {rates} GFLOP/s"


@cache
def description() -> str:
    """Processor, cores, memory and the relevant instruction sets."""
    cores = os.cpu_count() or 1
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model, flags = _processor()
    has = ", ".join(f"{flag} {'yes' if flag in flags else 'no'}" for flag in _FLAGS)
    return f"{model}, {cores} cores, {gigabytes:.0f} GiB; {has}"


def _processor() -> tuple[str, frozenset[str]]:
    """Name and flags of the processor, from /proc/cpuinfo if it exists."""
    file = Path("/proc/cpuinfo")
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    pairs = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in pairs.items()}
    model = fields.get("model name") or platform.processor() or platform.machine()
    return model, frozenset(fields.get("flags", "").split())
