"""Keeps freed memory in the process, so that training does not wait for the kernel.

glibc maps pages for every large tensor and unmaps them when the tensor is freed. A training step of
a small model on a CPU then spends a sixth of its time on page faults (docs/log.md). Blocks above
LARGEST_KEPT are still returned, because a heap with blocks of many sizes grows without end. The
setting applies to the whole process, so only programs and stages change it.
"""

from __future__ import annotations

import ctypes
import sys

LARGEST_KEPT = 32 << 20
"""Bytes; the largest M_MMAP_THRESHOLD that glibc accepts."""

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
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
    }
    return all(mallopt(setting, value) for setting, value in wanted.items())
