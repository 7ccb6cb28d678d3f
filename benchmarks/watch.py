"""Runs a command and watches what it costs: wall time, and memory over all its processes.

command -> Cost
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from steiner.types import RunError

_INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one command, its children's included."""

    seconds: float
    peak_gb: float
    """Most memory at once; a page that processes share counts once (PSS)."""


def watch(command: Sequence[str]) -> Cost:
    """Run the command to its end. Raises RunError where it fails."""
    start = time.perf_counter()
    peak = 0
    with subprocess.Popen(command, stdout=sys.stderr) as process:
        while process.poll() is None:
            peak = max(peak, _memory_bytes(process.pid))
            time.sleep(_INTERVAL_S)
    if process.returncode:
        raise RunError(f"{' '.join(command)} failed with exit code {process.returncode}")
    return Cost(time.perf_counter() - start, peak / 1e9)


def _memory_bytes(pid: int) -> int:
    """Memory of a process and all below it, as far as they still live."""
    try:
        root = psutil.Process(pid)
        return sum(map(_own_bytes, [root, *root.children(recursive=True)]))
    except psutil.NoSuchProcess:
        return 0


def _own_bytes(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0
    return int(getattr(memory, "pss", memory.rss))
