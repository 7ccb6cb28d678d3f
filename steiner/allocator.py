"""Keeps freed memory in the process, so that training does not wait for the kernel.

glibc gives every large tensor pages of its own and returns them when it is freed: a training step
of a small model on a CPU then spends a sixth of its time on page faults (docs/log.md). Blocks above
LARGEST_KEPT still go back, since a heap of many sizes would grow without end. A setting of the
whole process, so it is made by programs and stages, never by a function that computes.
"""

from __future__ import annotations

import ctypes
import sys

LARGEST_KEPT = 32 << 20
"""Bytes; the most that glibc takes as M_MMAP_THRESHOLD."""

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
"""Of glibc's malloc.h."""


def keep_freed_memory() -> bool:
    """Lets malloc take memory from the heap and keep what is freed; False where the C library is
    not glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    wanted = {
        _M_MMAP_THRESHOLD: LARGEST_KEPT,
        _M_TRIM_THRESHOLD: 1 << 30,
        _M_TOP_PAD: 64 << 20,
    }
    return all(mallopt(setting, value) for setting, value in wanted.items())
