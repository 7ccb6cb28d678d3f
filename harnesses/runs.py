"""Runs lm-evaluation-harness and Inspect on the first held-out problems, as a user would.

address of the API, number of problems -> each problem's verdict, from the harness's own log

The number in the harness's own table must be the mean of those verdicts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steiner.types import RunError

Right = Mapping[str, bool]
"""Key of a problem -> whether the answer is right."""

MAX_TOKENS = 1536
"""Of a completion, its reasoning included."""

_ROOT = Path(__file__).parents[1]
_AT_ONCE = 8


def run_lm_eval(programs: Path, url: str, limit: int, out_dir: Path) -> Right:
    """lm-evaluation-harness's verdicts."""
    arguments = {
        "include_path": "harnesses",
        "tasks": "steiner_held_out",
        "model": "local-chat-completions",
        "model_args": f"model=steiner,base_url={url}/chat/completions,num_concurrent={_AT_ONCE}",
        "gen_kwargs": f"max_gen_toks={MAX_TOKENS}",
        "limit": limit,
        "output_path": out_dir,
    }
    _run([programs / "lm_eval", "run", "--apply_chat_template", "--log_samples"], arguments, {})
    samples = [json.loads(line) for line in _only(out_dir, "samples_*.jsonl").open()]
    results = json.loads(_only(out_dir, "results_*.json").read_text())["results"]
    right = {sample["doc"]["key"]: sample["accuracy"] == 1 for sample in samples}
    _check_mean("lm-eval", right, results["steiner_held_out"]["accuracy,none"])
    return right


def run_inspect(programs: Path, url: str, limit: int, out_dir: Path) -> Right:
    """Inspect's verdicts."""
    arguments = {
        "model": "openai-api/steiner/steiner",
        "temperature": 0,
        "max-tokens": MAX_TOKENS,
        "max-connections": _AT_ONCE,
        "limit": limit,
        "log-dir": out_dir,
        "log-format": "json",
        "display": "plain",
    }
    keys = {"STEINER_BASE_URL": url, "STEINER_API_KEY": "none"}
    _run([programs / "inspect", "eval", "harnesses/steiner_inspect.py"], arguments, keys)
    log = json.loads(_only(out_dir, "*.json").read_text())
    right = {sample["id"]: sample["scores"]["strict"]["value"] == "C" for sample in log["samples"]}
    metrics = {
        name: m for score in log["results"]["scores"] for name, m in score["metrics"].items()
    }
    _check_mean("inspect", right, metrics["all"]["value"])
    return right


def run_clients(programs: Path, url: str, question: str) -> dict[str, list[str]]:
    """The answers to one question of each client in clients.py."""
    command = [programs / "python", "harnesses/clients.py", url, question]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    if done.returncode:
        raise RunError(f"clients.py ended with exit code {done.returncode}")
    answers: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return answers


def _run(
    command: Sequence[str | Path], arguments: Mapping[str, Any], variables: Mapping[str, str]
) -> None:
    """Runs a harness from the repository's root; what it prints is shown on stderr."""
    words = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **variables}
    done = subprocess.run([*command, *words], stdout=sys.stderr, cwd=_ROOT, env=environment)
    if done.returncode:
        raise RunError(f"{Path(command[0]).name} ended with exit code {done.returncode}")


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.rglob(pattern))
    assert len(found) == 1, f"{pattern} in {folder}: {found}"
    return found[0]


def _check_mean(name: str, right: Right, stated: float) -> None:
    mean = sum(right.values()) / len(right)
    assert abs(mean - stated) < 1e-9, f"{name} reports {stated}, and its log {mean}"
