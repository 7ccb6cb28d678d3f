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
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
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
    other_way_back: bool = False
    """A correction adds the numbers that are left in the opposite order."""
    refused: str = ""
    """Text of requests that are answered with 400."""
    refused_fields: tuple[str, ...] = ()
    """Fields of requests that are answered with 400."""
    no_text: str = ""
    """Text of requests whose reply has no content."""
    cut_rate: int = 0
    """Every so manieth reply without the answer shown breaks off at max_tokens; 0 for none."""
    broken_rate: int = 0
    """Every so manieth request without the answer shown fails at all tries; 0 for none."""
    at_once: int = 0
    """Requests at once above which it answers 429; 0 for no limit."""
    retry_after: str = ""
    """The header of that name in replies with an error."""
    first_hangs_s: float = 0.0
    """Seconds before the first try of the first request is answered."""
    running: int = 0
    most_running: int = 0
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
            with _counted(script):
                status, reply = answer(script, body, self.headers.get("authorization", ""))
            content = reply.encode()
            self.send_response(status)
            if status != 200 and script.retry_after:
                self.send_header("retry-after", script.retry_after)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content) + (1000 if script.cut else 0)))
            self.end_headers()
            with suppress(BrokenPipeError):  # the client waited too long
                self.wfile.write(content)

    with serving(Handler) as url:
        yield f"{url}/v1"


@contextmanager
def _counted(script: Script) -> Iterator[None]:
    """Counts the requests that run at once."""
    with script.lock:
        script.running += 1
        script.most_running = max(script.most_running, script.running)
    try:
        yield
    finally:
        with script.lock:
            script.running -= 1


def answer(script: Script, body: str, authorization: str) -> tuple[int, str]:
    """Status and body of the response to a request's body."""
    if script.first_hangs_s and not script.tries:
        script.tries[body] += 1
        time.sleep(script.first_hangs_s)
    with script.lock:
        script.tries[body] += 1
        status = 200
        if script.key and authorization != f"Bearer {script.key}":
            status = 401
        elif script.error_rate == 1 or (script.error_rate and _fails(script, body)):
            status = script.error_status
        elif script.at_once and script.running > script.at_once:
            status = 429
        elif _is_refused(script, body):
            status = 400
        elif script.broken_rate and _is_chosen(body, script.broken_rate):
            status = 500
        script.statuses[status] += 1
        if status == 200:
            script.requests[body] += 1
    if status != 200:
        return status, json.dumps({"error": {"message": "scripted error"}})
    if script.no_json:
        return 200, "<html>busy</html>"
    time.sleep(0.02 if script.at_once else 0.002)
    text: str | None = "I like trains." if script.nonsense else reply_to(json.loads(body), script)
    usage = {"prompt_tokens": 100, "completion_tokens": 50}
    reason = "stop"
    if script.no_text and script.no_text in body:
        text, reason = None, "length"
    if text and script.cut_rate and _is_chosen(body, script.cut_rate):
        text, reason = text.rpartition("Answer:")[0], "length"
    choice = {"message": {"content": text}, "finish_reason": reason}
    return 200, json.dumps({"choices": [choice], "usage": usage})


def _is_refused(script: Script, body: str) -> bool:
    fields = json.loads(body)
    has_text = bool(script.refused) and script.refused in fields["messages"][-1]["content"]
    return has_text or any(name in fields for name in script.refused_fields)


def _is_chosen(body: str, rate: int) -> bool:
    """True for one in `rate` requests without the answer shown; always for the same ones."""
    return "correct answer" not in body and int(sha256(body.encode()).hexdigest(), 16) % rate == 0


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
        text = text.partition("Somebody continued")[0]
        done, sums = text.count("Next step:"), re.findall(r"= (\d+)\n", text)
        if script.other_way_back:
            numbers = [*numbers[: done + 1], *reversed(numbers[done + 1 :])]
        steps = written_steps(numbers, done, int(sums[-1]) if sums else numbers[0], 0)
        return f"The sum in the last step is too large. Add again.\n\n{steps}"
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


def sums_file(folder: Path) -> Path:
    """A file with twelve sums of three numbers, which the endpoint can solve."""
    numbers = [(3 + n, 40 + 2 * n, 100 + 5 * n) for n in range(12)]
    rows = [
        {"question": f"What is {' + '.join(map(str, n))}?", "answer": str(sum(n))} for n in numbers
    ]
    file = folder / "sums.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file
