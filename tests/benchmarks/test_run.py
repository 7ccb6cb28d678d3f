"""A failing figure leaves the others alone; memory is measured for each stage of a run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import run
from benchmarks.results import Measured, read_results
from benchmarks.setting import Setting
from benchmarks.watch import watch
from steiner.types import RunError


def _works(setting: Setting) -> Iterator[Measured]:
    yield Measured("value", 1.0, 1.0, 1.0, "s")


def _breaks_halfway(setting: Setting) -> Iterator[Measured]:
    yield Measured("first", 1.0, 1.0, 1.0, "s")
    raise ZeroDivisionError


def test_a_failing_figure_does_not_lose_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = {"breaks": _breaks_halfway, "works": _works}
    monkeypatch.setattr(run, "FIGURES", figures)
    monkeypatch.setattr(run, "CACHE", tmp_path)
    monkeypatch.setattr(run.machine, "measured_machine", lambda: iter(()))
    results = tmp_path / "results.json"
    options = ["--recipe", "smoke", "--results", str(results), "--page", str(tmp_path / "page.md")]
    assert run.main([*figures, *options]) == 1
    assert [row.name for row in read_results(results)] == ["works/value"]
    assert "error: not measured: breaks" in capsys.readouterr().err


_TWO_STAGES = """
import pathlib, sys, time
for stage, size in (("small", 1), ("large", 60_000_000)):
    folder = pathlib.Path(sys.argv[1], stage + ".partial")
    folder.mkdir()
    held = bytes(range(256)) * (size // 256)
    time.sleep(1.2)
    del held
    folder.rmdir()
"""


def test_memory_is_measured_for_each_stage(tmp_path: Path) -> None:
    cost = watch((sys.executable, "-c", _TWO_STAGES, str(tmp_path)), tmp_path)
    peaks = cost.peak_gb_by_stage
    assert list(peaks) == ["small", "large"]
    assert peaks["large"] > peaks["small"] + 0.04
    assert cost.peak_gb >= peaks["large"]


def test_a_command_that_fails_is_an_error() -> None:
    with pytest.raises(RunError, match="exit code 3"):
        watch((sys.executable, "-c", "raise SystemExit(3)"))
