"""Atomic writes: a file is written under a temporary name, then renamed.

text, records, folders -> files under a run folder

A full disk raises one clear error, and the previous file stays.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steiner.types import RunError, SteinerError, UserError

_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_NO_ROOM_BYTES = 1_000_000


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path to write to; it replaces `path` if the block succeeds.

    Raises RunError if the disk is full.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with clear_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            _flush_to_disk(partial)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, record: Any) -> None:
    """Write a JSON-able record to `path`, indented, whole or not at all."""
    write_text(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Mapping[str, Any]:
    """Reads the JSON object in `path`. Raises RunError if the file is anything else."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"cannot read {path}: {error}", "delete it, then run again") from error
    if not isinstance(record, dict):
        raise RunError(f"cannot read {path}: not a JSON object", "delete it, then run again")
    return record


def replace_folder(source: Path, target: Path) -> None:
    """Replace the folder `target`, which may exist, with the folder `source`.

    Killed halfway, it leaves `source` whole and `target` absent, never a mixture.
    """
    discarded = target.with_name(f"{target.name}.discarded")
    remove_folder(discarded)
    if target.exists():
        target.rename(discarded)
    source.rename(target)
    remove_folder(discarded)


def remove_folder(path: Path) -> None:
    """Remove a folder and its contents, if it exists."""
    if path.exists():
        shutil.rmtree(path)


def file_sizes(folder: Path) -> dict[str, int]:
    """Size in bytes of each file under `folder`, by relative path, in a fixed order."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock `folder` (made if absent) against other processes. Raises UserError if it is locked."""
    with clear_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            hint = "wait for it, or name another folder with --out"
            raise UserError(f"another steiner is at work in {folder}", hint) from error
        yield


@contextmanager
def clear_disk_errors(path: Path) -> Iterator[None]:
    """Turn a library's error about a full disk into a RunError that names `path`."""
    try:
        yield
    except SteinerError:
        raise
    except Exception as error:
        if not is_disk_full(error, path):
            raise
        raise disk_full_error(path) from error


def is_disk_full(error: Exception, path: Path) -> bool:
    """True if `error` reports a full disk, or if the disk of `path` has almost no space.

    torch reports only "file write failed"; safetensors reports only the system's message.
    """
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return True
    return "No space left on device" in str(error) or _bytes_free(path) < _NO_ROOM_BYTES


def _bytes_free(path: Path) -> int:
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free


def disk_full_error(path: Path) -> RunError:
    """The error for a full disk."""
    hint = "free some space, then run the same command again: it continues where it stopped"
    return RunError(f"no space left on the disk of {path}", hint)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as written:
        os.fsync(written.fileno())
