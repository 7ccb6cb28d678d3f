"""Runs a test file as several processes of one training, over gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = str(Path(__file__).parents[1])


def run_in_processes(script: str, folder: Path, num_processes: int) -> None:
    """Runs `script folder` in `num_processes` processes; shows their output if one fails."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={num_processes}", script, str(folder)]
    paths = os.pathsep.join([_ROOT, *sys.path])  # the processes import tests.*
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
