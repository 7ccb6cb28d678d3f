"""A whole run in two processes, as `torchrun` and `accelerate launch` start them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
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
temperature = 0.01  # at 1, rollouts differ where the weights differ by rounding
precision = "fp32"
report_to = "none"
[eval]
problems_per_family = 2
budgets = [2]
samples = 2
max_tokens = 150
"""
STAGES = ("synth", "cpt", "sft", "rl", "evaluate", "report")


MODELS = ("cpt", "sft", "rl")


def _run(folder: Path, *launcher: str) -> subprocess.CompletedProcess[str]:
    (folder / "two.toml").write_text(RECIPE)
    command = [sys.executable, *launcher, "-m", "steiner", "run", "--recipe", "two.toml"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--out", "run"], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done


def _losses(folder: Path, stage: str) -> list[float]:
    state = json.loads((folder / "run" / "logs" / stage / "trainer_state.json").read_text())
    return [entry["loss"] for entry in state["log_history"] if "loss" in entry]


def test_two_processes_make_the_run_of_one(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    _check_output(_run(one), one)
    for stage in MODELS:
        _check_model(one / "run" / stage)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    done = _run(two, *launcher)
    output = done.stdout + done.stderr
    for stage in STAGES:  # one process speaks
        assert sum(line.startswith(f"{stage} ") for line in output.splitlines()) >= 1, output
    assert output.count("report  run/report/report.html") == 1
    for stage in MODELS:
        assert _losses(two, stage) == pytest.approx(_losses(one, stage), abs=2e-4)
    assert (two / "run" / "report" / "report.html").exists()
    assert not list((two / "run").glob("*.partial"))
    again = _run(two, *launcher)
    assert (again.stdout + again.stderr).count("up to date") == len(STAGES)


def _check_output(done: subprocess.CompletedProcess[str], folder: Path) -> None:
    """Without a terminal: one result line for each stage, and last where to find what was made."""
    assert "\r" not in done.stdout + done.stderr
    progress = done.stderr.splitlines()
    assert len(progress) <= 2 * len(STAGES)
    results = [line.split()[0] for line in progress if line[10:12].strip().isdigit()]
    assert results == list(STAGES), done.stderr
    model, report, following = done.stdout.splitlines()
    assert model == "model   run/rl"
    assert report == "report  run/report/report.html"
    word, program, command, _, option, place = shlex.split(following)
    assert (word, command, option, place) == ("next", "solve", "--model", "run/rl")
    assert (folder / place / "config.json").is_file()
    assert shutil.which(program) or os.access(folder / program, os.X_OK)


def _check_model(folder: Path) -> None:
    """A trained folder has a model and how it was made, which everyone may read."""
    assert {path.name for path in folder.iterdir()} == {
        *("README.md", "chat_template.jinja", "config.json", "generation_config.json"),
        *("model.safetensors", "tokenizer.json", "tokenizer_config.json"),
        *("recipe.toml", "stage.json"),
    }
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_an_error_is_said_once_and_ends_all(tmp_path: Path) -> None:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [sys.executable, *launcher, "-m", "steiner", "train", "sft", "--out", "none"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert done.stderr.count("error: none has no finished 'synth', which 'sft' needs") == 1
