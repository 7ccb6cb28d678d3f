"""A server under clients that send anything or disconnect: no 5xx but 503, nothing leaked.

model folder -> Measured

Cases that schemathesis draws from the API's own schema, right and wrong ones; bodies that are
broken in every place; clients that are killed in the middle of a stream, for minutes on end.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from benchmarks.results import Measured
from benchmarks.serving_load import CHAT, Served, served
from steiner.randomness import random_stream

RESPONSES = "/v1/responses"
NUM_CASES = 2000
NUM_MALFORMED = 1000
MINUTES = 5.0
_CLIENTS = 32
_WARM_SHARE = 0.2
"""Of the time, before memory is looked at first."""
_SHORT = ("--max-length", "256")
_GOOD: dict[str, Any] = {
    "model": "steiner",
    "max_tokens": 40,
    "max_output_tokens": 40,
    "input": "Hi",
    "messages": [{"role": "user", "content": "Hi"}],
}


def fuzz(model: Path, num_cases: int = NUM_CASES) -> Iterator[Measured]:
    """Cases by the schema: how many had an answer that blames the server, or that the schema does
    not describe."""
    with served(model, *_SHORT) as server:
        statuses, failures = _fuzzed(server, num_cases)
        leaked = _unfinished(server)
    for failure in failures:
        print(failure, file=sys.stderr)
    note = _told(statuses)
    yield Measured.repeated("5xx but 503", [_num_faults(statuses)], "", "at most 0", note)
    yield Measured.repeated("against the schema", [len(failures)], "", "at most 0")
    yield Measured.repeated("places leaked", [leaked], "", "at most 0")


def malformed(model: Path, count: int = NUM_MALFORMED) -> Iterator[Measured]:
    """Bodies that are no JSON, not UTF-8, too deep, too large, or of wrong types."""
    rng = random_stream("benchmarks", "malformed")
    statuses: Counter[int] = Counter()
    with served(model, *_SHORT) as server, httpx.Client(timeout=60) as client:
        for index in range(count):
            path = (CHAT, RESPONSES)[index % 2]
            headers = {"content-type": "application/json"}
            answer = client.post(f"{server.url}{path}", content=_broken(rng), headers=headers)
            statuses[answer.status_code] += 1
        leaked = _unfinished(server)
    yield Measured.repeated("5xx", [_num_faults(statuses)], "", "at most 0", _told(statuses))
    yield Measured.repeated("places leaked", [leaked], "", "at most 0")


def killed(model: Path, minutes: float = MINUTES) -> Iterator[Measured]:
    """Clients that break off streams at any moment, for minutes: memory and places afterwards."""
    with served(model, "--max-batch", "16", "--max-waiting", "64") as server:
        statuses = asyncio.run(_kill(server, _WARM_SHARE * minutes))
        before = _resident_mb(server)
        statuses += asyncio.run(_kill(server, (1 - _WARM_SHARE) * minutes))
        leaked = _unfinished(server)
        growth = _resident_mb(server) - before
    note = f"{statuses.total()} streams in {minutes:g} minutes; {_told(statuses)}"
    yield Measured.repeated("5xx but 503", [_num_faults(statuses)], "", "at most 0", note)
    yield Measured.repeated("places leaked", [leaked], "", "at most 0")
    yield Measured.repeated("growth of memory", [growth], "MB", "at most 10", f"of {before:.0f} MB")


MEASURES: Mapping[str, Callable[[Path], Iterator[Measured]]] = {
    "fuzz": fuzz,
    "malformed": malformed,
    "killed": killed,
}


def _num_faults(statuses: Mapping[int, int]) -> int:
    return sum(count for status, count in statuses.items() if status >= 500 and status != 503)


def _told(statuses: Mapping[int, int]) -> str:
    return ", ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))


def _unfinished(server: Served, timeout_s: float = 20) -> float:
    """Places still taken though nobody asks any more."""
    deadline = time.monotonic() + timeout_s
    while (left := _places(server)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def _places(server: Served) -> float:
    return server.metric("steiner_running") + server.metric("steiner_waiting")


def _resident_mb(server: Served) -> float:
    return server.metric("process_resident_memory_bytes") / 1e6


# ---------------------------------------------------------------------- schemathesis


def _fuzzed(server: Served, num_cases: int) -> tuple[Counter[int], list[str]]:
    """Statuses of all cases, and what each that failed a check of schemathesis' stated."""
    import schemathesis
    from schemathesis import GenerationMode

    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    statuses: Counter[int] = Counter()
    failures: list[str] = []
    shares = {(CHAT, mode): 0.24 for mode in GenerationMode} | {
        (RESPONSES, mode): 0.24 for mode in GenerationMode
    }
    shares[("/v1/models/{name}", GenerationMode.POSITIVE)] = 0.04
    operations: Any = schema.get_all_operations()
    for operation in (result.ok() for result in operations):
        for mode in GenerationMode:
            count = round(num_cases * shares.get((operation.path, mode), 0))
            if count:
                _draw(operation.as_strategy(generation_mode=mode), count, statuses, failures)
    return statuses, failures


def _draw(strategy: Any, count: int, statuses: Counter[int], failures: list[str]) -> None:
    """Tries `count` cases of one kind."""
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from schemathesis.checks import CHECKS
    from schemathesis.core.failures import FailureGroup

    beyond_schema = CHECKS.get_by_names(["positive_data_acceptance"])

    @seed(0)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def attempt(case: Any) -> None:
        if isinstance(case.body, dict) and "model" in case.body and len(statuses) % 2:
            case.body["model"] = "steiner"
        answer = case.call()
        statuses[answer.status_code] += 1
        try:
            case.validate_response(answer, excluded_checks=beyond_schema)
        except FailureGroup as group:
            failures.append(str(group))

    attempt()


# ---------------------------------------------------------------------- broken bodies


def _broken(rng: random.Random) -> bytes:
    """A body that no client should send."""
    body = bytearray(json.dumps(_GOOD), "utf-8")
    kind = rng.randrange(6)
    if kind == 0:
        return bytes(body[: rng.randrange(len(body))])
    if kind == 1:
        return rng.randbytes(rng.randrange(2000))
    if kind == 2:
        return rng.choice((b"[", b'{"messages":', b'[{"input":')) * rng.randrange(1, 20_000)
    if kind == 3:
        return json.dumps(_GOOD | {rng.choice(list(_GOOD)): rng.choice(_ODD)}).encode()
    if kind == 4:
        return json.dumps(_GOOD | {"messages": _GOOD["messages"] * 100_000}).encode()
    for _ in range(rng.randrange(1, 9)):
        place = rng.randrange(len(body))
        body[place : place + 1] = rng.choice((b"", rng.randbytes(1), b"{", b"]", b'"', b"\\u0"))
    return bytes(body)


_ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e308,
    float("nan"),
    10**400,
    "",
    "\ud800",
    [],
    {},
    [[]],
    [{}],
    [None],
)


# ---------------------------------------------------------------------- killed clients


async def _kill(server: Served, minutes: float) -> Counter[int]:
    """Keeps so many clients busy, each of which breaks off after a random while."""
    statuses: Counter[int] = Counter()
    until = time.monotonic() + 60 * minutes

    async def client(number: int) -> None:
        rng = random_stream("benchmarks", "killed", minutes, number)
        while time.monotonic() < until:
            status = await _break_off(server, rng)
            if status:
                statuses[status] += 1

    await asyncio.gather(*(client(number) for number in range(_CLIENTS)))
    return statuses


async def _break_off(server: Served, rng: random.Random) -> int:
    """One stream, left after up to a second; its status, 0 where it was left before any came."""
    body = _GOOD | {"stream": rng.random() < 0.8, "temperature": 1.0, "max_tokens": 1000}
    content = json.dumps(body | {"min_steps": 50, "max_steps": 50}).encode()
    reader, writer = await asyncio.open_connection(server.host, server.port)
    head = f"POST {CHAT} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
    status = b"HTTP/1.1 0"
    try:
        async with asyncio.timeout(rng.random() ** 2):
            status = await reader.readline()
            await reader.read()
    except TimeoutError:
        pass
    writer.transport.abort()
    return int(status.split()[1])
