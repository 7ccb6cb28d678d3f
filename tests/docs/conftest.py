"""A folder like the one a reader works in, and a real server for the pages that ask one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def workspace(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has the model folder that the pages name, `runs/tiny/rl`: a tiny one."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "runs" / "tiny").mkdir(parents=True)
    (folder / "runs" / "tiny" / "rl").symlink_to(model_dir)
    return folder


@pytest.fixture(scope="session")
def server_url(workspace: Path) -> Iterator[str]:
    """`steiner serve --model runs/tiny/rl` on a free port."""
    command = [sys.executable, "-m", "steiner", "serve", "--model", "runs/tiny/rl", "--port", "0"]
    with subprocess.Popen(
        command, cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if match := re.search(r"http://127\.0\.0\.1:\d+", line):
                    yield match[0]
                    break
            else:
                pytest.fail("the server ended before it listened")
        finally:
            process.terminate()
