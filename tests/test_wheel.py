"""The wheel has every file of the package, and metadata; installed, it answers."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
QUESTION = "Make 21 from 9, 6, 3."
PACKAGES = "import sysconfig; print(sysconfig.get_path('purelib'))"


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


def test_installed_wheel_answers(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    environment, elsewhere = tmp_path / "venv", tmp_path / "elsewhere"
    elsewhere.mkdir()
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps"]
    subprocess.run([*install, "--no-index", wheel.filename], check=True)
    # The libraries come from the environment of the tests, after the wheel's own files.
    packages = Path(_output([python, "-c", PACKAGES], elsewhere))
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    module = _output([python, "-c", "import steiner; print(steiner.__file__)"], elsewhere)
    assert Path(module) == packages / "steiner" / "__init__.py"
    answer = _output([environment / "bin" / "steiner", "solve", QUESTION], elsewhere)
    assert "step 1" in answer.lower()


def _output(command: list[str | Path], folder: Path) -> str:
    """The output of a command that runs without PYTHONPATH."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
