"""Atomic writes: a file is written under a temporary name, then renamed.

text, records, folders -> files under a run folder

A full disk raises one clear error, and the previous file stays.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from steiner.types import RunError, SteinerError, UserError, reason_of

LOGS = "logs"
"""Folder for what a stage leaves besides its output: `<run>/logs/<stage>`."""

_LOCK = ".lock"
_MODEL_FILES = (
    *("*.safetensors", "pytorch_model*.bin", "adapter_model.bin", "*.index.json"),
    *("config.json", "generation_config.json", "adapter_config.json"),
    *("tokenizer*", "vocab*", "merges.txt", "added_tokens.json", "special_tokens_map.json"),
    *("*.model", "*.tiktoken", "chat_template*"),
)
"""The files in a model folder that decide what the model computes: weights, configurations,
tokenizer, chat template."""
_NO_ROOM_BYTES = 1_000_000
_AGAIN = "run the same command again: it continues where it stopped"
_ANY_CAUSE = "check the path and the disk, then run the same command again"
_CAUSES: Mapping[int, tuple[str, str]] = {
    errno.ENOSPC: ("no space left on the disk", f"free some space, then {_AGAIN}"),
    errno.EDQUOT: ("the disk quota is used up", f"free some space, then {_AGAIN}"),
    errno.EFBIG: ("the file is too large", "raise the limit: ulimit -f unlimited; or another disk"),
    errno.EACCES: ("permission denied", "change its permissions, or use another path"),
    errno.EPERM: ("operation not permitted", "change its permissions, or use another path"),
    errno.EROFS: ("the file system is read-only", "use a path on another disk"),
    errno.ENOENT: ("no such file or folder", "check the path"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "check the path"),
    errno.EISDIR: ("this is a folder, not a file", "name a file"),
    errno.EEXIST: ("this exists and is not a folder", "remove it, or use another path"),
    errno.ENOTEMPTY: ("the folder is not empty", f"end what writes into it, then {_AGAIN}"),
    errno.EBUSY: ("another program uses this", f"end that program, then {_AGAIN}"),
    errno.ETXTBSY: ("this program is running", f"end it, then {_AGAIN}"),
    errno.EXDEV: ("cannot move this to another disk", "use a folder that is on one disk"),
    errno.EINVAL: ("the file system does not accept this", "check the path, or use another disk"),
    errno.ENOTSUP: ("the file system does not support this", "use a path on another disk"),
    errno.ENOLCK: ("the file system has no locks", "use a path on a local disk"),
    errno.ENAMETOOLONG: ("the name is too long", "name a shorter one"),
    errno.ELOOP: ("too many symbolic links", "check the path"),
    errno.EMFILE: ("too many open files", "raise the limit: ulimit -n 4096"),
    errno.ENFILE: ("too many open files on this machine", "close other programs"),
    errno.ENOMEM: ("not enough memory", f"close other programs, then {_AGAIN}"),
    errno.EIO: ("the disk reports an input/output error", "check the disk"),
    errno.ESTALE: ("the network file system lost the file", "mount it again"),
    errno.ENOTCONN: ("the network file system is disconnected", "mount it again"),
    errno.ETIMEDOUT: ("no answer in time", f"check the network file system, then {_AGAIN}"),
    errno.ENXIO: ("no such device", "check the path"),
    errno.ENODEV: ("no such device", "check the path"),
}
"""errno -> (message, hint)."""


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
    damaged = "delete it, then run again"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason, hint = reason_and_hint(error, damaged)
        raise RunError(f"cannot read {path}: {reason}", hint) from error
    if not isinstance(record, dict):
        raise RunError(f"cannot read {path}: not a JSON object", damaged)
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


def file_digest(path: Path) -> str:
    """16 hexadecimal digits of a file's SHA-256; empty if there is no such file."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def model_digest(model: str | Path) -> str:
    """A hash of a model's weights, configurations, tokenizer and chat template, in a folder or a
    GGUF file; a name on the Hub stands for itself. An unchanged file is read once per process."""
    source = Path(model)
    if source.is_file():
        return _content_digest(source).hex()[:16]
    if not source.is_dir():
        return str(model)
    digest = hashlib.sha256()
    found = {path for pattern in _MODEL_FILES for path in source.glob(pattern) if path.is_file()}
    for path in sorted(found):
        digest.update(path.name.encode())
        digest.update(_content_digest(path))
    return digest.hexdigest()[:16]


def _content_digest(path: Path) -> bytes:
    """The SHA-256 of a file, kept as long as its size and time of change stay the same."""
    status = path.stat()
    return _kept_digest(path.absolute(), status.st_size, status.st_mtime_ns)


@cache
def _kept_digest(path: Path, _size: int, _mtime_ns: int) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock `folder` (made if absent) against other processes. Raises UserError if it is locked.

    A folder that was made for this and got no other file is removed at the end.
    """
    with ExitStack() as opened:
        with clear_disk_errors(folder):
            opened.enter_context(made_folder(folder, _LOCK))
            lock = opened.enter_context((folder / _LOCK).open("w"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            hint = "wait for it, or name another folder with --out"
            raise UserError(f"another steiner is at work in {folder}", hint) from error
        yield


@contextmanager
def made_folder(folder: Path, *leftovers: str) -> Iterator[None]:
    """Makes `folder` and its parents if absent. Those that it made are removed at the end if they
    are empty but for files with the names `leftovers`."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):  # another program may use it by now
            if made and {path.name for path in folder.iterdir()} <= set(leftovers):
                for name in leftovers:
                    (folder / name).unlink(missing_ok=True)
                for path in made:
                    path.rmdir()


@contextmanager
def clear_disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's errors about files into a RunError with a hint.

    `path` is named if the error itself names no file.
    """
    try:
        yield
    except (SteinerError, BrokenPipeError):  # the latter: the reader of the output has gone
        raise
    except Exception as error:
        clear = disk_error(error, path)
        if clear is None:
            raise
        raise clear from error


def disk_error(error: Exception, path: Path) -> RunError | None:
    """The RunError for an error of the operating system; None for any other error.

    Libraries hide the cause: torch reports only "file write failed" and safetensors only the
    system's message, so for their errors a disk with almost no space counts as full.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        full = "No space left on device" in str(error) or _bytes_free(path) < _NO_ROOM_BYTES
        if not full:
            return None
        number = errno.ENOSPC
        error = OSError(number, os.strerror(number))
    cause, hint = reason_and_hint(error, writing=True)
    named = getattr(error, "filename", None)
    place = named or (path if number in _CAUSES else "")  # other errors may not be about files
    return RunError(f"{cause}: {place}" if place else cause, hint)


def reason_and_hint(
    error: Exception, damaged: str = _ANY_CAUSE, *, writing: bool = False
) -> tuple[str, str]:
    """Why a file cannot be used, in a few words, and how to fix it.

    The hint is `damaged` unless the error is the operating system's: the content is at fault then.
    `writing` says that the file was to be written, not read.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        return reason_of(error), damaged
    cause, hint = _CAUSES.get(number) or (os.strerror(number), _ANY_CAUSE)
    if writing and number == errno.ENOENT:
        hint = f"{hint}; its folder may not exist, or not allow new files"
    return cause, hint


def make_readable(folder: Path) -> None:
    """Let everyone read the files in `folder`; libraries make some for the owner only."""
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))


def _bytes_free(path: Path) -> int:
    there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as written:
        os.fsync(written.fileno())
