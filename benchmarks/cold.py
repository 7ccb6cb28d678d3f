"""How long a person waits for the first step of `steiner solve`, from the command on.

model folder -> seconds from the start of the process to the end of the first step shown

A new process each time, at a terminal of its own, with the question typed. The system's file cache
is as warm as it is.
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
_STEP_ENDS = "verification"
"""What stands at the head of a step's last line."""


def first_step(setting: Setting) -> Iterator[Measured]:
    """Of the RL model."""
    model = setting.stage("rl")
    seconds = [_seconds(model) for _ in range(max(5, setting.repeats))]
    yield Measured.repeated("first step shown", seconds, "s", "at most 3")


def _seconds(model: Path) -> float:
    """Until the line of the first step's verification is there."""
    terminal, end = pty.openpty()
    command = [str(STEINER), "solve", QUESTION, "--model", str(model)]
    begun = time.perf_counter()
    with subprocess.Popen(command, stdout=end, stderr=end, stdin=end) as process:
        os.close(end)
        try:
            shown = ""
            while _STEP_ENDS not in shown:
                shown += _read(terminal)
            return time.perf_counter() - begun
        finally:
            process.kill()
            os.close(terminal)


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 1 << 16).decode(errors="replace")
    except OSError as error:  # the process has ended
        raise RunError("`steiner solve` has shown no step", "try it by hand") from error


FIGURES: Mapping[str, Figure] = {"solve": first_step}
