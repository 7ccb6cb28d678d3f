"""Training logs of a run: losses, rewards, perplexity, data counts and cost.

run folder -> History

Everything is optional. The report of an unfinished run shows what exists and names what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steiner.files import LOGS, read_json

_QUANTITIES = ("reward", "loss")
"""Logged values to plot; the first that a stage has."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One quantity that a stage logged, by optimiser step."""

    stage: str
    quantity: str
    steps: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class History:
    """The training history of a run's models."""

    curves: Sequence[Curve]
    perplexity: Mapping[str, float]
    """Of ordinary text, before and after continual pre-training; empty if not measured."""
    counts: Mapping[str, int]
    """From the manifest of the synthetic data."""
    cost: Mapping[str, Mapping[str, Any]]
    """Stage -> seconds, peak_memory_mb."""
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    missing: Sequence[str]
    """Files that do not exist."""


NO_HISTORY = History((), {}, {}, {}, {}, {}, ())
"""That of models from elsewhere."""


def read_history(run_dir: Path) -> History:
    """The History of the run in `run_dir`. Raises RunError for an incomplete file."""
    missing: list[str] = []

    def read(name: str) -> Mapping[str, Any]:
        if (run_dir / name).is_file():
            return read_json(run_dir / name)
        missing.append(name)
        return {}

    manifest = read("manifest.json")
    cost = manifest.get("stages", {})
    logs = {stage: read(f"{LOGS}/{stage}/trainer_state.json") for stage in _trained(run_dir, cost)}
    perplexity = {key: float(value) for key, value in read(f"{LOGS}/cpt/perplexity.json").items()}
    counts = read("synth/manifest.json").get("counts", {})
    curves = [_curve(stage, log.get("log_history", ())) for stage, log in logs.items()]
    return History(
        curves=[curve for curve in curves if curve.steps],
        perplexity=perplexity if {"before", "after"} <= perplexity.keys() else {},
        counts={name: int(count) for name, count in counts.items()},
        cost=cost,
        machine=manifest.get("machine", {}),
        versions=manifest.get("versions", {}),
        missing=missing,
    )


def _trained(run_dir: Path, stages: Mapping[str, Any]) -> list[str]:
    """Stages that made a model or left a log, in the order of the manifest, then by name."""
    folders = {path.parent.name for path in run_dir.glob("*/config.json")}
    folders |= {path.parent.name for path in run_dir.glob(f"{LOGS}/*/trainer_state.json")}
    order = {name: place for place, name in enumerate(stages)}
    return sorted(folders, key=lambda name: (order.get(name, len(order)), name))


def _curve(stage: str, log: Sequence[Mapping[str, Any]]) -> Curve:
    logged = {key for entry in log for key in entry}
    quantity = next((name for name in _QUANTITIES if name in logged), "")
    entries = [entry for entry in log if quantity in entry]
    steps = [float(entry["step"]) for entry in entries]
    return Curve(stage, quantity, steps, [float(entry[quantity]) for entry in entries])
