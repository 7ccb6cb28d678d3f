"""A whole run in two processes, as `torchrun` and `accelerate launch` start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RECIPE = """
name = "two"
[problems.levels]
countdown = 1
[synth]
dags = 40
paths = 80
max_tokens = 512
workers = 1
[cpt]
tokens = 3000
batch_tokens = 2048
ordinary_fraction = 0.5
precision = "fp32"
report_to = "none"
[sft]
tokens = 6000
batch_tokens = 2048
precision = "fp32"
report_to = "none"
[rl]
steps = 1
problems_per_step = 2
rollouts_per_problem = 2
max_tokens = 150
max_steps = 2
precision = "fp32"
report_to = "none"
[eval]
problems_per_family = 2
budgets = [2]
samples = 2
max_tokens = 150
"""
STAGES = ("synth", "cpt", "sft", "rl", "evaluate", "report")


def _run(folder: Path, *launcher: str) -> str:
    (folder / "two.toml").write_text(RECIPE)
    command = [sys.executable, *launcher, "-m", "steiner", "run", "--recipe", "two.toml"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--out", "run"], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def _losses(folder: Path, stage: str) -> list[float]:
    state = json.loads((folder / "run" / "logs" / stage / "trainer_state.json").read_text())
    return [entry["loss"] for entry in state["log_history"] if "loss" in entry]


def test_two_processes_make_the_run_of_one(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    _run(one)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    output = _run(two, *launcher)
    for stage in STAGES:  # one process speaks
        assert sum(line.startswith(f"{stage} ") for line in output.splitlines()) >= 1, output
    assert output.count("report  run/report/report.html") == 1
    for stage in ("cpt", "sft", "rl"):
        assert _losses(two, stage) == pytest.approx(_losses(one, stage), abs=2e-4)
    assert (two / "run" / "report" / "report.html").exists()
    assert not list((two / "run").glob("*.partial"))
    again = _run(two, *launcher)
    assert again.count("up to date") == len(STAGES)


def test_an_error_is_said_once_and_ends_all(tmp_path: Path) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [sys.executable, *launcher, "-m", "steiner", "train", "sft", "--out", "none"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert done.stderr.count("error: stage 'sft' needs 'synth'") == 1
