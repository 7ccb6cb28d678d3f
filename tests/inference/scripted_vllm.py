"""A server on loopback that answers like `vllm serve` from a script, and misbehaves on request.

Only for faults: tests/vllm has the real one.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from steiner.format.tokenizer import Vocabulary
from steiner.types import Rollout
from tests.loopback_server import QuietHandler, serving


@dataclass(slots=True)
class Script:
    """Its behaviour, and how often it was asked for each path."""

    vocabulary: Vocabulary
    rollout: Rollout
    """What it writes for every prompt."""
    num_faults: int = 0
    """The first so many completions meet `fault`."""
    fault: str = "500"
    """A status, "cut" for a body that ends early, or "abort" for a completion that does."""
    replies: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """Path -> (status, JSON) in place of what a right server says."""
    choice: dict[str, Any] = field(default_factory=dict)
    """Fields of a completion to replace."""
    asked: Counter[str] = field(default_factory=Counter)
    bodies: list[Mapping[str, Any]] = field(default_factory=list)
    lock: Any = field(default_factory=threading.Lock)


@contextmanager
def scripted_vllm(script: Script) -> Iterator[str]:
    """Serves `script`; yields its URL."""

    class Handler(QuietHandler):
        def do_GET(self) -> None:
            self._send(*_reply(script, self.path, {}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}"
            self._send(*_reply(script, self.path, json.loads(body)))

        def _send(self, status: int, reply: Any, missing: int = 0) -> None:
            content = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content) + missing))
            self.end_headers()
            self.wfile.write(content)

    with serving(Handler) as url:
        yield url


def _reply(script: Script, path: str, body: dict[str, Any]) -> tuple[int, Any, int]:
    """Status, JSON, and the number of bytes that are announced and not sent."""
    with script.lock:
        script.asked[path] += 1
        script.bodies.append(body)
        count = script.asked[path]
    if path in script.replies:
        return *script.replies[path], 0
    if path != "/v1/completions":
        return 200, _right(script, path, body), 0
    choice = _choice(script.rollout) | script.choice
    if count > script.num_faults:
        return 200, {"choices": [choice]}, 0
    if script.fault == "cut":
        return 200, {"choices": [choice]}, 100
    if script.fault == "abort":
        return 200, {"choices": [choice | {"finish_reason": "abort"}]}, 0
    return int(script.fault), {"error": {"message": "scripted error"}}, 0


def _right(script: Script, path: str, body: Mapping[str, Any]) -> Any:
    tokenizer: Any = script.vocabulary.tokenizer
    return {
        "/v1/models": {"data": [{"id": "served", "max_model_len": 1024}]},
        "/tokenize": {"tokens": tokenizer(body.get("prompt", "")).input_ids},
        "/collective_rpc": {"results": [None]},
        "/reset_prefix_cache": {"success": True},
    }[path]


def _choice(rollout: Rollout) -> dict[str, Any]:
    return {
        "finish_reason": "stop",
        "token_ids": list(rollout.token_ids),
        "logprobs": {"token_logprobs": list(rollout.logprobs), "top_logprobs": []},
    }
