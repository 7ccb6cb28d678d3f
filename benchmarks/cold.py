"""Time to the first step of `steiner solve`, measured from the start of the process.

model folder -> seconds until the first step is shown

Each measurement is a new process in its own pseudo-terminal. The system's file cache is warm after
the first one.
"""

from __future__ import annotations

import os
import pty
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.results import Measured
from benchmarks.serving_load import STEINER
from benchmarks.setting import Figure, Setting
from steiner.types import RunError

QUESTION = "Make 24 from 8, 4, 1."
_LAST_LABEL = "verification"
"""Label of the last component of a step."""


def first_step(setting: Setting) -> Iterator[Measured]:
    """Measures the model of the RL stage."""
    model = setting.stage("rl")
    seconds = [_seconds(model) for _ in range(max(5, setting.repeats))]
    yield Measured.repeated("first step shown", seconds, "s", "at most 3")


def _seconds(model: Path) -> float:
    """Seconds until the terminal shows the first step's verification."""
    terminal, child_end = pty.openpty()
    command = [str(STEINER), "solve", QUESTION, "--model", str(model)]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=child_end, stderr=child_end, stdin=child_end) as process:
        os.close(child_end)
        try:
            shown = ""
            while _LAST_LABEL not in shown:
                shown += _read(terminal)
            return time.perf_counter() - start
        finally:
            process.kill()
            os.close(terminal)


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 1 << 16).decode(errors="replace")
    except OSError as error:  # the process has ended
        raise RunError("`steiner solve` ended without a step", "run it in a terminal") from error


FIGURES: Mapping[str, Figure] = {"solve": first_step}
