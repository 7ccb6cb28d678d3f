"""vLLM on the CPU as a contestant: a process in its own virtual environment, one round at a time.

weights, prompts -> a function that decodes them once more

vLLM brings its own versions of much else, so it lives in .venv-vllm, made where it is missing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from transformers import PreTrainedModel

from steiner.types import RunError

ROOT = Path(__file__).parent.parent
VENV = ROOT / ".venv-vllm"
WORKER = Path(__file__).parent / "vllm_worker.py"


def install() -> Path:
    """The environment's Python, installed if need be. Raises RunError where that fails."""
    goal = f"{VENV.name}/.installed"
    command = ("make", "-C", str(ROOT), goal, f"PYTHON={sys.executable}")
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
        hint = f"its messages stand above; then rm -r {VENV}"
        raise RunError(f"{' '.join(command)} failed", hint)
    return VENV / "bin" / "python"


@contextmanager
def contestant(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], num_tokens: int
) -> Iterator[Callable[[], int]]:
    """A function that lets vLLM write `num_tokens` tokens after each prompt, by temperature 1, and
    returns how many it wrote. The model is loaded, and warmed up, before the first call."""
    python = install()
    with TemporaryDirectory() as name:
        folder = Path(name)
        model.save_pretrained(folder)
        task = {"prompts": [list(prompt) for prompt in prompts], "num_tokens": num_tokens}
        (folder / "task.json").write_text(json.dumps(task), encoding="utf-8")
        with _worker(python, folder) as process:
            yield lambda: _round(process)


@contextmanager
def _worker(python: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The process, ready for its first round."""
    cores = f"0-{(os.cpu_count() or 1) - 1}"
    environment = os.environ | {
        "VLLM_CPU_OMP_THREADS_BIND": cores,  # by itself it leaves one core unused
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # no second process that polls between rounds
        "VLLM_LOGGING_LEVEL": "ERROR",
        "VLLM_NO_USAGE_STATS": "1",
    }
    process = subprocess.Popen(
        [str(python), str(WORKER), str(folder)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            _answer(process)
            yield process
        finally:
            process.terminate()


def _round(process: subprocess.Popen[str]) -> int:
    stdin = _pipe(process.stdin)
    stdin.write("round\n")
    stdin.flush()
    return _answer(process)


def _answer(process: subprocess.Popen[str]) -> int:
    """The number in the worker's next line of the form `tokens N`; vLLM prints lines of its own."""
    for line in _pipe(process.stdout):
        word, _, number = line.strip().partition(" ")
        if word == "tokens":
            return int(number)
    hint = f"remove {VENV} and run again, or see its messages above"
    raise RunError("vLLM ended before it had answered", hint)


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
