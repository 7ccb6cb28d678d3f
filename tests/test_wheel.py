"""The wheel has every file of the package, and metadata."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from a copy of the tracked files, without build isolation or a network."""
    folder = tmp_path_factory.mktemp("wheel")
    tracked = ["pyproject.toml", "README.md", "LICENSE", "steiner"]
    copy = ["cp", "-r", *(str(ROOT / name) for name in tracked), str(folder)]
    subprocess.run(copy, check=True)
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "-w", str(folder / "out"), str(folder)], check=True)
    (found,) = (folder / "out").glob("*.whl")
    return zipfile.ZipFile(found)


def test_wheel_has_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    kept = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "steiner").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert kept <= set(wheel.namelist())
    assert any(name.endswith("steps/en/jugs.toml") for name in kept)


def test_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
    metadata = message_from_string(wheel.read(name).decode())
    assert metadata["Summary"]
    assert metadata["Keywords"]
    assert metadata.get_all("Classifier")
    assert metadata.get_all("Project-URL")
    (entry,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "steiner = steiner.cli.main:main" in wheel.read(entry).decode()
