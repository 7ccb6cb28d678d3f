"""A file is complete or absent, even if writing it fails."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steiner import files
from steiner.cli.question_input import read_question_file
from steiner.data.corpora import held_out_corpus
from steiner.files import (
    clear_disk_errors,
    file_sizes,
    locked,
    make_readable,
    model_digest,
    read_json,
    reason_and_hint,
    remove_folder,
    replace_folder,
    replacing,
    write_json,
    write_text,
)
from steiner.questions.reading import read_questions
from steiner.recipe import QuestionsRecipe
from steiner.recipe_file import load_recipe
from steiner.types import RunError, SteinerError, UserError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# ---------------------------------------------------------------------- one file


def test_write_text_makes_the_folder_and_replaces_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "note.txt"
    write_text(file, "größer\n")
    assert file.read_text(encoding="utf-8") == "größer\n"
    write_text(file, "new")
    assert file.read_text() == "new"
    assert _names(file.parent) == {"note.txt"}


@pytest.mark.parametrize("failure", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_failure_keeps_the_old_file(tmp_path: Path, failure: BaseException) -> None:
    def write_half() -> None:
        with replacing(tmp_path / "note.txt") as partial:
            partial.write_text("half")
            raise failure

    with pytest.raises(type(failure)):
        write_half()
    assert _names(tmp_path) == set()
    write_text(tmp_path / "note.txt", "old")
    with pytest.raises(type(failure)):
        write_half()
    assert (tmp_path / "note.txt").read_text() == "old"
    assert _names(tmp_path) == {"note.txt"}


def test_old_file_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    write_text(tmp_path / "note.txt", "old")
    with replacing(tmp_path / "note.txt") as partial:
        partial.write_text("new")
        assert (tmp_path / "note.txt").read_text() == "old"
    assert (tmp_path / "note.txt").read_text() == "new"


@settings(max_examples=30)
@given(record=st.dictionaries(st.text(), JSON, max_size=4))
def test_json_round_trips(tmp_path_factory: pytest.TempPathFactory, record: object) -> None:
    file = tmp_path_factory.mktemp("json") / "record.json"
    write_json(file, record)
    assert read_json(file) == record


def test_unwritable_json_keeps_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "record.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "record.json", {"a": object()})
    assert read_json(tmp_path / "record.json") == {"a": 1}
    assert _names(tmp_path) == {"record.json"}


@pytest.mark.parametrize("content", [b"", b'{"a": ', b"[1]", b"12", b"\xff\xfe{}"])
def test_damaged_json_raises_one_clear_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "record.json"
    file.write_bytes(content)
    with pytest.raises(RunError, match="cannot read") as caught:
        read_json(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_missing_json_raises_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot read"):
        read_json(tmp_path / "record.json")


# ---------------------------------------------------------------------- a full disk


def test_full_disk_raises_one_clear_line_and_keeps_the_old_file(tmp_path: Path) -> None:
    def write_half() -> None:
        with replacing(tmp_path / "note.txt") as partial:
            partial.write_text("half")
            Path("/dev/full").write_text("the rest")  # a real device that is always full

    write_text(tmp_path / "note.txt", "old")
    with pytest.raises(RunError, match=r"no space left on the disk: .*note\.txt") as caught:
        write_half()
    assert caught.value.hint
    assert (tmp_path / "note.txt").read_text() == "old"
    assert _names(tmp_path) == {"note.txt"}


def test_full_disk_while_flushing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunError, match="quota"):
        write_text(tmp_path / "note.txt", "new")
    assert _names(tmp_path) == set()


def test_full_disk_is_recognised_in_errors_of_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "not" / "yet"  # free space is checked at the nearest existing folder
    with pytest.raises(RuntimeError, match="file write failed"), clear_disk_errors(folder):
        raise RuntimeError("file write failed")
    with pytest.raises(RunError, match="no space left"), clear_disk_errors(folder):
        raise RuntimeError("I/O error: No space left on device (os error 28)")
    monkeypatch.setattr(files, "_NO_ROOM_BYTES", 2**80)
    with pytest.raises(RunError, match="no space left"), clear_disk_errors(folder):
        raise RuntimeError("file write failed")


@pytest.mark.parametrize("number", files._CAUSES, ids=errno.errorcode.get)
def test_each_system_error_has_its_own_message(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_NO_ROOM_BYTES", 2**80)  # a full disk is not the cause of these
    cause, hint = files._CAUSES[number]
    for named in (str(tmp_path / "x"), None):
        with pytest.raises(RunError) as caught, clear_disk_errors(tmp_path):
            raise OSError(number, os.strerror(number), named)
        assert str(caught.value) == f"{cause}: {named or tmp_path}"
        assert caught.value.hint.startswith(hint)
        assert hint


@pytest.mark.parametrize("number", [errno.EMLINK, errno.EDEADLK, errno.ECONNREFUSED, 12345])
def test_any_other_system_error_is_one_line_too(number: int, tmp_path: Path) -> None:
    assert number not in files._CAUSES
    for place in (str(tmp_path / "x"), None):
        with pytest.raises(RunError) as caught, clear_disk_errors(tmp_path):
            raise OSError(number, "", place)
        assert str(caught.value) == os.strerror(number) + (f": {place}" if place else "")
        assert caught.value.hint


def test_a_closed_pipe_is_no_disk_error(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), clear_disk_errors(tmp_path):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


@pytest.mark.parametrize(
    "read",
    [
        read_json,
        read_question_file,
        lambda file: load_recipe(str(file)),
        lambda file: held_out_corpus({str(file): 1.0}, 1),
        lambda file: read_questions(QuestionsRecipe(source=str(file))),
    ],
)
def test_a_disk_fault_is_not_taken_for_bad_content(
    read: Callable[[Path], object], tmp_path: Path
) -> None:
    file = tmp_path / "file.jsonl"
    file.symlink_to("/proc/self/mem")  # reading its first bytes is an input/output error
    with pytest.raises(SteinerError, match="the disk reports an input/output error") as caught:
        read(file)
    assert "file.jsonl" in str(caught.value)
    assert caught.value.hint == "check the disk"


def test_a_folder_that_cannot_be_made_is_not_a_full_disk() -> None:
    with pytest.raises(RunError, match="no such file or folder"), locked(Path("/proc/x")):
        pass


def test_every_file_is_readable_by_all(tmp_path: Path) -> None:
    secret = tmp_path / "model" / "weights"
    write_text(secret, "w")
    secret.chmod(0o600)
    make_readable(tmp_path)
    assert secret.stat().st_mode & 0o777 == 0o644


def test_errors_for_users_are_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_NO_ROOM_BYTES", 2**80)
    with pytest.raises(UserError, match="unknown key"), clear_disk_errors(tmp_path):
        raise UserError("unknown key")


# ---------------------------------------------------------------------- folders


def _folder(path: Path, content: str) -> Path:
    write_text(path / "model.txt", content)
    return path


def test_folder_replaces_another(tmp_path: Path) -> None:
    source, target = tmp_path / "sft.partial", tmp_path / "sft"
    for content in ("first", "second"):
        replace_folder(_folder(source, content), target)
        assert (target / "model.txt").read_text() == content
        assert _names(tmp_path) == {"sft"}


def test_replacing_a_folder_can_be_repeated_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = _folder(tmp_path / "sft.partial", "new"), _folder(tmp_path / "sft", "old")
    rename = Path.rename

    def killed_at_source(path: Path, to: Path) -> Path:
        if path == source:
            raise KeyboardInterrupt
        return rename(path, to)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed_at_source)
        with pytest.raises(KeyboardInterrupt):
            replace_folder(source, target)
    assert (source / "model.txt").read_text() == "new"
    assert not target.exists()
    replace_folder(source, target)
    assert (target / "model.txt").read_text() == "new"
    assert _names(tmp_path) == {"sft"}


def test_removing_a_missing_folder_does_nothing(tmp_path: Path) -> None:
    remove_folder(tmp_path / "none")
    remove_folder(_folder(tmp_path / "some", "text"))
    assert _names(tmp_path) == set()


def test_file_sizes_come_in_a_fixed_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a/c.txt", "a/b/d.txt"):
        write_text(tmp_path / name, name)
    assert list(file_sizes(tmp_path).items()) == [("a/b/d.txt", 9), ("a/c.txt", 7), ("b.txt", 5)]
    assert file_sizes(tmp_path / "none") == {}


# ---------------------------------------------------------------------- locks


def _try(folder: Path) -> None:
    with locked(folder):
        pass


def test_locked_folder_refuses_a_second_lock(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with locked(folder), pytest.raises(UserError, match="another steiner is at work in"):
        _try(folder)
    _try(folder)
    with pytest.raises(ValueError, match="no"), locked(folder):
        raise ValueError("no")
    _try(folder)


def test_a_folder_made_for_a_lock_stays_only_with_other_files(tmp_path: Path) -> None:
    _try(tmp_path / "runs" / "new")
    assert not list(tmp_path.iterdir())
    with locked(tmp_path / "runs" / "new"):
        write_text(tmp_path / "runs" / "kept", "x")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["kept"]
    with locked(tmp_path / "used"):
        write_text(tmp_path / "used" / "file", "x")
    _try(tmp_path / "used")
    assert (tmp_path / "used" / "file").exists()


def test_a_hint_about_the_folder_is_for_writing_only(tmp_path: Path) -> None:
    missing = FileNotFoundError(errno.ENOENT, "gone", "x")
    assert reason_and_hint(missing)[1] == "check the path"
    assert "not allow new files" in reason_and_hint(missing, writing=True)[1]
    with pytest.raises(RunError, match="no such file") as caught, clear_disk_errors(tmp_path):
        raise missing
    assert "not allow new files" in caught.value.hint


def test_lock_of_a_killed_process_is_released(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, steiner.files as files\n"
        "with files.locked(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match="another steiner"):
            _try(tmp_path)
        other.send_signal(signal.SIGKILL)
        other.wait()
    _try(tmp_path)


# ---------------------------------------------------------------------- digest of a model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with the files of a model; their content is no matter for a digest."""
    names = ("model.safetensors", "config.json", "generation_config.json", "chat_template.jinja")
    for name in (*names, "tokenizer.json", "tokenizer_config.json", "README.md"):
        write_text(tmp_path / "base" / name, name)
    return tmp_path / "base"


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("model.safetensors", True),
        ("model-00002-of-00002.safetensors", True),
        ("pytorch_model.bin", True),
        ("config.json", True),
        ("generation_config.json", True),
        ("tokenizer.json", True),
        ("tokenizer_config.json", True),
        ("tokenizer.model", True),
        ("vocab.txt", True),
        ("chat_template.jinja", True),
        ("README.md", False),
        ("stage.json", False),
        ("recipe.toml", False),
        ("training_args.bin", False),
        (".cache/huggingface/download/config.json.metadata", False),
        ("original/consolidated.00.pth", False),
    ],
)
def test_what_a_model_computes_decides_its_digest(name: str, counts: bool, model: Path) -> None:
    before = model_digest(model)
    write_text(model / name, "edited")
    assert (model_digest(model) != before) == counts


def test_the_digest_of_a_model_reads_an_unchanged_file_once(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, hashed = [], hashlib.file_digest

    def noted(file: Any, name: str) -> Any:
        read.append(Path(file.name).name)
        return hashed(file, name)

    monkeypatch.setattr(hashlib, "file_digest", noted)
    weights = model / "model.safetensors"
    before = model_digest(str(model))
    assert len(read) == 6
    assert model_digest(model) == before
    assert len(read) == 6
    write_text(weights, "other weights")
    assert model_digest(model) != before
    assert read[6:] == ["model.safetensors"]
    os.utime(weights, ns=(0, 0))  # perhaps other content of the same size
    model_digest(model)
    assert read[7:] == ["model.safetensors"]


def test_the_digest_of_a_file_and_of_a_name_on_the_hub(tmp_path: Path) -> None:
    gguf = tmp_path / "model.gguf"
    write_text(gguf, "")
    assert model_digest(gguf) == "e3b0c44298fc1c14"  # SHA-256 of nothing
    write_text(gguf, "weights")
    assert model_digest(gguf) != "e3b0c44298fc1c14"
    assert model_digest("owner/name") == "owner/name"
