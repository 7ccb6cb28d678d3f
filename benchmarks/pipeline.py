"""What the main job costs on this machine: the whole of `make run`, and the synthesis of its data.

Setting -> minutes, GB, seconds

Both start from nothing, in folders of their own; only where there is no run yet, the first whole
run is the run that the other figures are measured on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.machine import rates_note
from benchmarks.results import Measured
from benchmarks.setting import Figure, Setting
from benchmarks.watch import Cost, watch
from steiner.files import remove_folder

WHOLE_RUNS = 2
"""At most, of `make run`, which takes long."""


def whole_run(setting: Setting) -> Iterator[Measured]:
    """`make run` of the recipe, after installation."""
    costs = [_whole_run(setting) for _ in range(min(WHOLE_RUNS, setting.repeats))]
    minutes, peaks = [c.seconds / 60 for c in costs], [c.peak_gb for c in costs]
    yield Measured.repeated("time", minutes, "min", "at most 15", rates_note())
    yield Measured.repeated("peak memory", peaks, "GB", "at most 6", "all processes, sampled")


def _whole_run(setting: Setting) -> Cost:
    arguments = f"ARGS=--recipe {setting.recipe_name} --out "
    if not setting.run_dir.exists():
        return watch(("make", "run", f"{arguments}{setting.run_dir}"))
    folder = setting.cache / "whole-run"
    return _afresh(folder, "make", "run", f"{arguments}{folder}")


def synthesis(setting: Setting) -> Iterator[Measured]:
    """`steiner synth` of 10,000 DAGs and 50,000 paths, the start of Python included."""
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
        return watch(command)
    finally:
        remove_folder(folder)


FIGURES: Mapping[str, Figure] = {"run": whole_run, "synth": synthesis}
