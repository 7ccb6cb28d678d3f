"""The cost of the main job on this machine: `make run` as a whole, its memory, and its synthesis.

Setting -> minutes, GB, seconds

Each starts from nothing, in a folder of its own. If there is no run yet, the first whole run
becomes the run that the other figures are measured on. `memory` uses the last whole run that was
measured at this commit, if there is one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.commit import current_commit
from benchmarks.machine import rates_note
from benchmarks.results import Measured
from benchmarks.setting import Figure, Setting
from benchmarks.watch import Cost, watch
from steiner.files import read_json, remove_folder, write_json

MAX_WHOLE_RUNS = 2
"""Limit of repeats of `make run`, which takes long."""


def whole_run(setting: Setting) -> Iterator[Measured]:
    """`make run` of the recipe, after installation."""
    costs = [_whole_run(setting) for _ in range(min(MAX_WHOLE_RUNS, setting.repeats))]
    minutes, peaks = [cost.seconds / 60 for cost in costs], [cost.peak_gb for cost in costs]
    yield Measured.repeated("time", minutes, "min", "at most 15", rates_note())
    yield Measured.repeated("peak memory", peaks, "GB", "at most 4", _SAMPLED)


def memory(setting: Setting) -> Iterator[Measured]:
    """Peak memory of `make run`, by stage."""
    file = _cost_file(setting)
    peaks = read_json(file) if file.exists() else _whole_run(setting).peak_gb_by_stage
    for stage, peak in peaks.items():
        yield Measured.repeated(stage, [peak], "GB", "at most 4", _SAMPLED)


_SAMPLED = "all processes, sampled every half second"


def _whole_run(setting: Setting) -> Cost:
    is_first = not setting.run_dir.exists()
    folder = setting.run_dir if is_first else setting.cache / "whole-run"
    command = ("make", "run", f"ARGS=--recipe {setting.recipe_name} --out {folder}")
    cost = watch(command, folder) if is_first else _afresh(folder, *command)
    write_json(_cost_file(setting), cost.peak_gb_by_stage)
    return cost


def _cost_file(setting: Setting) -> Path:
    return setting.cache / "memory" / f"{current_commit()}-{setting.recipe.digest(*_KEYS)}.json"


_KEYS = ("seed", "language", "problems", "synth", "base", "sampling", "cpt", "sft", "rl", "eval")


def synthesis(setting: Setting) -> Iterator[Measured]:
    """`steiner synth` of 10,000 DAGs and 50,000 paths, including the start of Python."""
    folder = setting.cache / "synth-run"
    sizes = ("--set", "synth.dags=10_000", "--set", "synth.paths=50_000")
    command = (sys.executable, "-m", "steiner", "synth", "--recipe", setting.recipe_name)
    costs = [
        _afresh(folder, *command, *sizes, "--out", str(folder)) for _ in range(setting.repeats)
    ]
    yield Measured.repeated("time", [c.seconds for c in costs], "s", "at most 60", rates_note())


def _afresh(folder: Path, *command: str) -> Cost:
    remove_folder(folder)
    try:
        return watch(command, folder)
    finally:
        remove_folder(folder)


FIGURES: Mapping[str, Figure] = {"run": whole_run, "memory": memory, "synth": synthesis}
