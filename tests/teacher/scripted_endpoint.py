"""An OpenAI-compatible endpoint on loopback that answers from a script and misbehaves on request.

It knows questions of the form "What is 3 + 4 + 5?". With the answer shown it solves them; without,
it makes the mistakes that its `mood` says.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.loopback_server import QuietHandler, serving


@dataclass(slots=True)
class Script:
    """The endpoint's behaviour and what it saw."""

    error_rate: int = 0
    """Every so manieth request fails with `error_status` at its first two tries, and each at all
    tries if it is 1; 0 for none."""
    error_status: int = 500
    nonsense: bool = False
    """Replies are not in the form."""
    no_json: bool = False
    cut: bool = False
    """The connection closes in the middle of each body."""
    key: str = ""
    """Bearer token that it wants."""
    units: str = ""
    """Words after the number of an answer."""
    always_wrong: bool = True
    """Continuations without the answer are wrong."""
    requests: Counter[str] = field(default_factory=Counter)
    """Body of a request -> how often it was answered with 200."""
    tries: Counter[str] = field(default_factory=Counter)
    """Body of a request -> how often it came."""
    statuses: Counter[int] = field(default_factory=Counter)
    lock: Any = field(default_factory=threading.Lock)


@contextmanager
def scripted_endpoint(script: Script) -> Iterator[str]:
    """Serves `script`; yields the base URL."""

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            status, reply = _answer(script, body, self.headers.get("authorization", ""))
            content = reply.encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content) + (1000 if script.cut else 0)))
            self.end_headers()
            self.wfile.write(content)

    with serving(Handler) as url:
        yield f"{url}/v1"


def _answer(script: Script, body: str, authorization: str) -> tuple[int, str]:
    with script.lock:
        script.tries[body] += 1
        status = 200
        if script.key and authorization != f"Bearer {script.key}":
            status = 401
        elif script.error_rate == 1 or (script.error_rate and _fails(script, body)):
            status = script.error_status
        script.statuses[status] += 1
        if status == 200:
            script.requests[body] += 1
    if status != 200:
        return status, json.dumps({"error": {"message": "scripted error"}})
    if script.no_json:
        return 200, "<html>busy</html>"
    time.sleep(0.002)
    text = "I like trains." if script.nonsense else reply_to(json.loads(body), script)
    usage = {"prompt_tokens": 100, "completion_tokens": 50}
    return 200, json.dumps({"choices": [{"message": {"content": text}}], "usage": usage})


def _fails(script: Script, body: str) -> bool:
    """True at the first two tries of every `error_rate`-th of the requests."""
    number = list(script.tries).index(body)
    return number % script.error_rate == 0 and script.tries[body] <= 2


def reply_to(body: dict[str, Any], script: Script) -> str:
    """A solution, a continuation, or a correction."""
    text = body["messages"][-1]["content"]
    found = re.search(r"What is ([\d +]+)\?", text)
    assert found is not None
    numbers = [int(number) for number in found[1].split("+")]
    if "wrong with the last step" in text:
        return "The sum in the last step is too large. Add again."
    shown = "The correct answer is" in text
    done = text.count("Next step:")
    mistake = 0 if shown or not script.always_wrong else 1 + body["seed"] % 7
    sums = re.findall(r"= (\d+)\n", text)
    steps = written_steps(numbers, done, int(sums[-1]) if sums else numbers[0], mistake)
    return f"{steps.removesuffix('.')}{script.units}."


def written_steps(numbers: list[int], done: int, total: int, mistake: int) -> str:
    """The steps after the first `done`, each of which adds a number to `total`, and the answer."""
    blocks = []
    for index in range(done + 1, len(numbers)):
        before, total = total, total + numbers[index] + mistake
        blocks.append(
            f"**Next step:** add {numbers[index]}\nUnderstanding: the sum so far is {before}\n"
            f"Summary: {before} + {numbers[index]} = {total}\nCheck: {total} is the sum"
        )
    return "\n\n".join([*blocks, f"Answer: {total}."])
