"""A server in a process of its own, and clients that cost little: bare HTTP on open connections.

model folder -> Served;  bodies of chat requests -> Answers

The clients share the machine with the server, so what they cost is taken from it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

STEINER = Path(sys.executable).with_name("steiner")
CHAT = "/v1/chat/completions"
RequestBody = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Served:
    """A server's address."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """As a client takes it."""
        return f"http://{self.host}:{self.port}"

    def metric(self, line: str) -> float:
        """A value of /metrics, by its name and labels; 0 where it is not there yet."""
        text = httpx.get(f"{self.url}/metrics", timeout=60).text
        found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.M)
        return float(found[1]) if found else 0.0


@contextmanager
def served(model: Path, *options: str) -> Iterator[Served]:
    """`steiner serve` on a free port, for as long as the context lasts."""
    command = [str(STEINER), "serve", "--model", str(model), "--port", "0", *options]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://([\d.]+):(\d+)", process.stdout.readline())
            assert found, "the server has not started"
            yield Served(found[1], int(found[2]))
        finally:
            process.terminate()


@dataclass(frozen=True, slots=True)
class TimedAnswer:
    """The result of one request."""

    num_tokens: int
    first_s: float
    """From the request to the first bytes of the body."""


def ask_all(server: Served, bodies: Sequence[RequestBody], num_clients: int) -> list[TimedAnswer]:
    """Every request once, by so many clients, each with one connection and one request at once."""
    return asyncio.run(_ask_all(server, bodies, num_clients))


async def _ask_all(
    server: Served, bodies: Sequence[RequestBody], num_clients: int
) -> list[TimedAnswer]:
    waiting = iter(bodies)
    answers: list[TimedAnswer] = []

    async def client() -> None:
        connection = await asyncio.open_connection(server.host, server.port)
        for body in waiting:
            answers.append(await _ask(*connection, body))
        connection[1].close()

    await asyncio.gather(*(client() for _ in range(num_clients)))
    return answers


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: RequestBody
) -> TimedAnswer:
    content = json.dumps(body).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    begun = time.perf_counter()
    writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    headers = await reader.readuntil(b"\r\n\r\n")
    assert headers.startswith(b"HTTP/1.1 200"), headers
    if length := re.search(rb"(?i)content-length: (\d+)", headers):
        stated = await reader.readexactly(int(length[1]))
        return TimedAnswer(_num_tokens(stated), time.perf_counter() - begun)
    first = await _chunk(reader)
    first_s, stated = time.perf_counter() - begun, first
    while chunk := await _chunk(reader):
        stated = stated[-1000:] + chunk
    return TimedAnswer(_num_tokens(stated), first_s)


async def _chunk(reader: asyncio.StreamReader) -> bytes:
    """The next chunk of a body that comes in chunks; empty at its end."""
    size = int(await reader.readline(), 16)
    return (await reader.readexactly(size + 2))[:size]


def _num_tokens(stated: bytes) -> int:
    found = re.search(rb'"completion_tokens": ?(\d+)', stated)
    assert found, stated
    return int(found[1])
