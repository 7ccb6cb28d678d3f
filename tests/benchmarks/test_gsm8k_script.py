"""benchmarks/gsm8k.sh asks for figures and options that the benchmarks know."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.run import FIGURES, _parser

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gsm8k.sh"


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script, with a `python` that prints its arguments, one a line."""
    program = folder / "python"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    command = ["bash", str(SCRIPT), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "size", "gsm8k"),
    [
        (("my base",), "long", "openai/gsm8k"),
        (("my base", "data/gsm8k", "data/bbh", "small"), "small", "data/gsm8k"),
    ],
)
def test_each_size_is_a_valid_command(
    arguments: tuple[str, ...], size: str, gsm8k: str, tmp_path: Path
) -> None:
    module, *words = _run(tmp_path, *arguments).stdout.splitlines()[1:]
    options = _parser().parse_args(words)
    assert module == "benchmarks.run"
    assert options.figures == [name for name in FIGURES if name.startswith("gsm8k")]
    assert (options.base, options.gsm8k) == ("my base", gsm8k)
    kept = _parser().parse_args([])  # a trial leaves the published figures alone
    assert (options.results == kept.results, options.page == kept.page) == (
        (False, False) if size == "small" else (True, True)
    )


def test_another_size_is_refused(tmp_path: Path) -> None:
    done = _run(tmp_path, "base", "a", "b", "huge")
    assert done.returncode == 2
    assert "the size is long or small, not huge" in done.stderr
