"""What a run folder tells of how its models came about: losses, rewards, perplexity, counts, cost.

run folder -> History

Everything is optional: a report of half a run shows what there is, and names what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steiner.files import LOGS, read_json


@dataclass(frozen=True, slots=True)
class Curve:
    """A quantity that a stage logged, by optimiser step."""

    stage: str
    quantity: str
    steps: Sequence[float]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class History:
    """What led to the models of a run."""

    curves: Sequence[Curve]
    perplexity: Mapping[str, float]
    """Of ordinary text, before and after continual pre-training; empty where not measured."""
    counts: Mapping[str, int]
    """Of the manifest of the synthesised data."""
    cost: Mapping[str, Mapping[str, Any]]
    """Stage -> seconds, peak_memory_mb."""
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    missing: Sequence[str]
    """Files that were not there."""


def read_history(run_dir: Path, quantities: Mapping[str, str]) -> History:
    """The History of the run in `run_dir`. Raises RunError for a file that is cut short.

    `quantities`: training stage -> the logged quantity to plot.
    """
    missing: list[str] = []

    def read(name: str) -> Mapping[str, Any]:
        if (run_dir / name).is_file():
            return read_json(run_dir / name)
        missing.append(name)
        return {}

    states = {stage: read(f"{LOGS}/{stage}/trainer_state.json") for stage in quantities}
    curves = [_curve(stage, state, quantities[stage]) for stage, state in states.items()]
    perplexity = {key: float(value) for key, value in read(f"{LOGS}/cpt/perplexity.json").items()}
    counts = {
        key: int(value) for key, value in read("synth/manifest.json").get("counts", {}).items()
    }
    manifest = read("manifest.json")
    return History(
        curves=[curve for curve in curves if curve.steps],
        perplexity=perplexity if {"before", "after"} <= perplexity.keys() else {},
        counts=counts,
        cost=manifest.get("stages", {}),
        machine=manifest.get("machine", {}),
        versions=manifest.get("versions", {}),
        missing=missing,
    )


def _curve(stage: str, state: Mapping[str, Any], quantity: str) -> Curve:
    entries = [entry for entry in state.get("log_history", ()) if quantity in entry]
    steps = [float(entry["step"]) for entry in entries]
    return Curve(stage, quantity, steps, [float(entry[quantity]) for entry in entries])
