"""Runs a command and measures its wall time and peak memory, over all its processes.

command -> Cost
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from steiner.types import RunError

_INTERVAL_S = 0.5


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one command and its child processes."""

    seconds: float
    peak_gb: float
    """Peak memory; a page that processes share counts once (PSS)."""
    peak_gb_by_stage: Mapping[str, float] = field(default_factory=dict)
    """Peak memory while each stage of a run was in progress."""


def watch(command: Sequence[str], run_dir: Path | None = None) -> Cost:
    """Runs the command to its end. Raises RunError if it fails.

    With the folder of the run that the command makes, memory is measured for each stage: the stage
    in progress is the one that has a `.partial` folder there.
    """
    start = time.perf_counter()
    peaks: dict[str, int] = {}
    with subprocess.Popen(command, stdout=sys.stderr) as process:
        while process.poll() is None:
            stage = _stage_in_progress(run_dir)
            peaks[stage] = max(peaks.get(stage, 0), memory_bytes(process.pid))
            time.sleep(_INTERVAL_S)
    if process.returncode:
        raise RunError(f"{' '.join(command)} failed with exit code {process.returncode}")
    by_stage = {stage: peak / 1e9 for stage, peak in peaks.items() if stage}
    return Cost(time.perf_counter() - start, max(peaks.values(), default=0) / 1e9, by_stage)


def _stage_in_progress(run_dir: Path | None) -> str:
    """Empty if there is none."""
    partial = sorted(run_dir.glob("*.partial")) if run_dir else []
    return partial[0].name.removesuffix(".partial") if partial else ""


def memory_bytes(pid: int) -> int:
    """Memory of a process and of all its descendants that are still running."""
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
