"""A program that answers a file of requests as the scripted endpoint does, and misbehaves.

    python -m tests.teacher.scripted_batch INPUT OUTPUT RECORD BEHAVIOUR [SCRIPT]

It adds a line to RECORD for each run: its process, and the custom_ids of INPUT. SCRIPT has fields
of `Script` as JSON.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.teacher.scripted_endpoint import Script, answer

ROOT = Path(__file__).parents[2]
FIRST_RUN_ONLY = ("missing", "errors", "unreadable")
"""Behaviours of every third line in the first run."""


def batch_command(record: Path, behaviour: str = "", **script: Any) -> str:
    """The command for teacher.batch_command."""
    program = ["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.teacher.scripted_batch"]
    files = ["{input}", "{output}", str(record)]
    return shlex.join([*program, *files, behaviour, json.dumps(script)])


def runs(record: Path) -> list[tuple[int, list[str]]]:
    """The process and the custom_ids of each run so far."""
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    return [(run["process"], run["ids"]) for run in map(json.loads, lines)]


def main(source: str, target: str, record: str, behaviour: str, script: str = "{}") -> int:
    """Answers one file; returns the exit status."""
    lines = [json.loads(line) for line in Path(source).read_text(encoding="utf-8").splitlines()]
    is_first = not Path(record).exists()
    with Path(record).open("a", encoding="utf-8") as file:
        run = {"process": os.getpid(), "ids": [line["custom_id"] for line in lines]}
        file.write(json.dumps(run) + "\n")
    print("loading the model\nERROR: out of memory\ngoodbye")
    if behaviour == "no file":
        return 0
    broken = behaviour if is_first or behaviour not in FIRST_RUN_ONLY else ""
    with Path(target).open("w", encoding="utf-8", buffering=1) as out:
        if behaviour == "empty":
            return 0
        for number, line in enumerate(lines):
            if number == len(lines) // 2:
                _stop(behaviour, Path(record))
            for text in _written(Script(**json.loads(script)), line, number, broken):
                out.write(text + "\n")
    return 0


def _stop(behaviour: str, record: Path) -> None:
    """What happens after half of the lines."""
    if behaviour == "fails":
        sys.exit(1)
    if behaviour == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "ignores ctrl-c":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("ignored", flush=True)
        time.sleep(60)
    while behaviour == "hangs" and not record.with_suffix(".go").exists():
        time.sleep(0.02)


def _written(script: Script, line: dict[str, Any], number: int, broken: str) -> Iterator[str]:
    """The lines of the output for one of the input."""
    body = json.dumps(line["body"], ensure_ascii=False, separators=(",", ":"))  # as httpx does
    status, content = answer(script, body, "")
    found = content if script.no_json else json.loads(content)
    entry = {
        "id": str(number),
        "custom_id": line["custom_id"],
        "response": {"status_code": status, "body": found if status == 200 else None},
        "error": None if status == 200 else found,  # as vLLM does
    }
    whole = json.dumps(entry)
    if number % 3 or not broken:
        yield whole
    elif broken == "errors":
        yield json.dumps(entry | {"response": None, "error": {"code": 1, "message": "expired"}})
    elif broken == "unreadable":
        yield from (
            whole[: len(whole) // 2],
            "[]",
            '{"custom_id": "other"}',
            "",
            "\0\1" + "[" * 9999,
        )
    elif broken != "missing":
        yield whole


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
