"""Keeps freed memory in the process, so that training does not wait for the kernel.

glibc maps pages for every large tensor and unmaps them when the tensor is freed. A training step of
a small model on a CPU then spends a sixth of its time on page faults (docs/log.md). Blocks above
LARGEST_KEPT are still returned, because a heap with blocks of many sizes grows without end. Only
the main heap keeps what is freed, so all threads that start later use it. The settings apply to the
whole process, so only programs and stages change them.
"""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from contextlib import suppress
from pathlib import Path

LARGEST_KEPT = 32 << 20
"""Bytes; the largest M_MMAP_THRESHOLD that glibc accepts."""

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8
"""Parameter numbers from glibc's malloc.h."""


def keep_freed_memory() -> bool:
    """Makes malloc keep freed memory. Returns False if the C library is not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    wanted = {
        _M_MMAP_THRESHOLD: LARGEST_KEPT,
        _M_TRIM_THRESHOLD: 1 << 30,
        _M_TOP_PAD: 64 << 20,
        _M_ARENA_MAX: 1,
    }
    return all(mallopt(setting, value) for setting, value in wanted.items())


def release_freed_memory() -> None:
    """Returns freed memory to the system, between two pieces of work."""
    gc.collect()
    trim_heap()


def trim_heap() -> None:
    """Returns the free pages of the heap to the system, also those between blocks in use."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def reset_peak_memory() -> None:
    """Resets `peak_memory_mb`. Works on Linux only; elsewhere the peak covers the process."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float:
    """Largest resident memory of this process in MB, since `reset_peak_memory` on Linux."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return round(int(line.split()[1]) * 1024 / 1e6, 1)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)
