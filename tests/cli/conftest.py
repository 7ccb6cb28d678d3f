"""The question that the known model has memorised, and `steiner` run inside the test's process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from steiner.cli.main import main
from steiner.types import SearchPath


@dataclass(frozen=True)
class Done:
    """The result of one command."""

    exit_code: int
    stdout: str
    stderr: str


Solve = Callable[..., Done]


@pytest.fixture
def question(known_path: SearchPath) -> str:
    return known_path.problem.question


@pytest.fixture
def solve(model_dir: Path, capsys: pytest.CaptureFixture[str]) -> Solve:
    """`steiner solve` with the known model and the given arguments."""

    def run(*arguments: str | Path) -> Done:
        exit_code = main(["solve", "--model", str(model_dir), *map(str, arguments)])
        captured = capsys.readouterr()
        return Done(exit_code, captured.out, captured.err)

    return run
