"""One stage of a pipeline: a folder that is made once, and again when something it depends on
changed.

Recipe, input stages -> output folder with stage.json and recipe.toml

The work happens in `<name>.partial`, which replaces `<name>` when it is complete. A stage that was
killed continues in its partial folder, unless the settings have changed: from the checkpoints of
training/checkpoints.py, and with the replies of teacher/cache.py.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from typing import Any

from steiner import __version__
from steiner.allocator import (
    keep_freed_memory,
    peak_memory_mb,
    release_freed_memory,
    reset_peak_memory,
)
from steiner.files import (
    LOGS,
    clear_disk_errors,
    file_sizes,
    make_readable,
    read_json,
    remove_folder,
    replace_folder,
    write_json,
    write_text,
)
from steiner.processes import from_first
from steiner.progress import duration, plural, say
from steiner.questions.graders import failures
from steiner.recipe import Recipe
from steiner.recipe_file import recipe_toml
from steiner.types import RunError, SteinerError, UserError

STAMP = "stage.json"
_RECIPE = "recipe.toml"
_COMMANDS = {
    "synth": "synth",
    **{name: f"train {name}" for name in ("cpt", "sft", "rl")},
    "evaluate": "eval",
}
"""Stage -> the command that makes it alone."""
_LIBRARIES = ("torch", "transformers", "trl", "datasets", "pyarrow", "numpy")

Work = Callable[[Recipe, Path, Path], None]
"""(recipe, run_dir, out_dir): does the stage's work.

Reads `run_dir/<input stage>` and writes below `out_dir` only. `out_dir` may hold checkpoints of a
killed attempt at the same work; the work itself deletes them when it is done.
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its output, its inputs and its work."""

    name: str
    """Also the name of its output folder."""
    help: str
    """One line for the command line."""
    keys: tuple[str, ...]
    """Keys of the recipe that decide the output, as in `Recipe.digest`."""
    inputs: tuple[str, ...]
    """Stages whose output it reads."""
    work: Work
    result: Callable[[Path], str] | None = None
    """Its output folder -> the result in a few words, for the stage's line."""
    fingerprint: Callable[[Recipe], str] | None = None
    """Identity of what else it reads, such as a base model."""
    makes_model: bool = False
    """True if its output is a model folder, with a training history in the logs."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The content of stage.json."""

    digest: str
    complete: bool = False
    sessions: int = 1
    """Number of sessions it took; `seconds` is the time of the last one."""
    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    """Largest resident memory of this process during the stage; worker processes not included."""
    versions: Mapping[str, str] | None = None
    files: Mapping[str, int] | None = None
    """Bytes of each file."""
    ungraded: Mapping[str, int] | None = None
    """Grader and reason -> answers that it could not grade, which counted as wrong."""


def run_stage(stage: Stage, recipe: Recipe, run_dir: Path, *, force: bool = False) -> Stamp:
    """Makes the stage's output unless a complete one exists that was made from the same inputs.

    Of several processes the first calls this, and the others `help_with_stage`.

    Raises UserError if an input stage is missing or another program's folder is in the way,
    RunError if the disk is full.
    """
    folder, partial = run_dir / stage.name, run_dir / f"{stage.name}.partial"
    _require_own(folder)
    _require_own(partial)
    digest = stage_digest(stage, recipe, run_dir)
    stamp = read_stamp(folder)
    if stamp and stamp.digest == digest and not force:
        say(f"{stage.name:<10} up to date")
        from_first(False)
        return stamp
    keep_freed_memory()
    with clear_disk_errors(folder):
        stamp = _work(stage, recipe, run_dir, partial, digest)
        result = stage.result(partial) if stage.result else ""
        if (partial / LOGS).exists():
            (run_dir / LOGS).mkdir(exist_ok=True)
            replace_folder(partial / LOGS, run_dir / LOGS / stage.name)
        replace_folder(partial, folder)
    resumed = f", resumed, session {stamp.sessions}" if stamp.sessions > 1 else ""
    say(f"{stage.name:<10} {duration(stamp.seconds)}{resumed}" + (f"  {result}" if result else ""))
    for reason, count in (stamp.ungraded or {}).items():
        say(f"{'':<10} {plural(count, 'answer')} not graded, so wrong: {reason}")
    return stamp


def help_with_stage(stage: Stage, recipe: Recipe, run_dir: Path) -> None:
    """The part of the other processes in `run_stage`: they take part in a training, if there is
    one to do, and leave everything else to the first."""
    if from_first(False) and stage.makes_model:
        stage.work(recipe, run_dir, run_dir / f"{stage.name}.partial")


def stage_digest(stage: Stage, recipe: Recipe, run_dir: Path) -> str:
    """Identity of what the stage would make now: settings, inputs, version."""
    parts = [__version__, stage.name, recipe.digest(*stage.keys)]
    parts += [_input_digest(stage, name, run_dir) for name in stage.inputs]
    if stage.fingerprint:
        parts.append(stage.fingerprint(recipe))
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:16]


def read_stamp(folder: Path) -> Stamp | None:
    """The stamp of a finished output; None if it is absent, unfinished or damaged."""
    stamp = _stamp(folder)
    if stamp is None or not stamp.complete:
        return None
    sizes = file_sizes(folder)
    whole = all(sizes.get(name) == size for name, size in (stamp.files or {}).items())
    return stamp if whole else None


def versions() -> dict[str, str]:
    """Versions of Python, Steiner and the libraries that affect results."""
    found = {"python": python_version(), "steiner": __version__}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            found[library] = "not installed"
    return found


def _require_own(folder: Path) -> None:
    """Raises UserError if `folder` has files, but none that a stage writes into each output."""
    if any((folder / name).is_file() for name in (STAMP, _RECIPE)):
        return
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        hint = "name another run folder with --out, or remove this yourself"
        raise UserError(f"{folder} exists and was not made by steiner", hint)


def _work(stage: Stage, recipe: Recipe, run_dir: Path, partial: Path, digest: str) -> Stamp:
    """Does the stage's work in `partial`, continuing an earlier attempt."""
    finished = read_stamp(partial)
    if finished and finished.digest == digest:  # killed just before the renaming
        from_first(False)
        return finished
    sessions = _open_partial(partial, digest)
    from_first(True)
    release_freed_memory()
    reset_peak_memory()
    start = time.perf_counter()
    failed_before = failures()
    try:
        stage.work(recipe, run_dir, partial)
    except SteinerError:
        if [path.name for path in partial.iterdir()] == [STAMP]:
            remove_folder(partial)  # nothing was made that a next session could use
        raise
    write_text(partial / _RECIPE, recipe_toml(recipe))
    make_readable(partial)
    sizes = {
        name: size
        for name, size in file_sizes(partial).items()
        if name != STAMP and not name.startswith(f"{LOGS}/")
    }
    seconds = round(time.perf_counter() - start, 2)
    ungraded = dict(failures() - failed_before)
    stamp = Stamp(digest, True, sessions, seconds, peak_memory_mb(), versions(), sizes, ungraded)
    write_json(partial / STAMP, asdict(stamp))
    return stamp


def _open_partial(partial: Path, digest: str) -> int:
    """Creates the partial folder, or keeps one of the same work; returns the session's number."""
    begun = _stamp(partial)
    if begun and begun.digest == digest and not begun.complete:
        sessions = begun.sessions + 1
    else:
        remove_folder(partial)
        sessions = 1
    partial.mkdir(parents=True, exist_ok=True)
    write_json(partial / STAMP, asdict(Stamp(digest, sessions=sessions)))
    return sessions


def _input_digest(stage: Stage, name: str, run_dir: Path) -> str:
    stamp = read_stamp(run_dir / name)
    if stamp is None:
        hint = f"`steiner run --out {run_dir}` with the same recipe makes all that is missing"
        if name in _COMMANDS:
            hint = f"make it with `steiner {_COMMANDS[name]} --out {run_dir}`; or {hint}"
        raise UserError(f"{run_dir} has no finished '{name}', which '{stage.name}' needs", hint)
    return stamp.digest


def _stamp(folder: Path) -> Stamp | None:
    """The stamp in `folder`, finished or not; None if it cannot be read."""
    if not (folder / STAMP).is_file():
        return None
    try:
        record: Mapping[str, Any] = read_json(folder / STAMP)
        return Stamp(**record)
    except (RunError, TypeError):
        return None
