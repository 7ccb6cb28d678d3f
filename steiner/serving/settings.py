"""The settings of a server.

command line -> Settings
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from steiner.types import UserError

_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/\s]+")


@dataclass(frozen=True, slots=True)
class Settings:
    """The limits of one server, and the name of its model. Raises UserError for a wrong value."""

    name: str = "steiner"
    api_key: str = ""
    """The bearer token that clients must send; empty if they need none."""
    allow_origins: tuple[str, ...] = ()
    """Origins of web pages that may use the API from a browser; "*" allows all."""
    max_batch: int = 64
    """Completions that run at once."""
    max_waiting: int = 256
    """Completions that may wait for a place in the batch; more are refused."""
    max_length: int | None = None
    """Tokens of a dialogue and its answer; None for the model's own limit."""
    kv_memory: int | None = None
    """Most bytes of the KV cache; None for a share of the free memory."""
    time_limit_s: float = 300.0
    """From a request's arrival to its last token; then the completion ends as it is."""
    max_body_bytes: int = 1 << 20
    body_timeout_s: float = 30.0
    """How long a client may take to send its body."""

    def __post_init__(self) -> None:
        for origin in self.allow_origins:
            if not _ORIGIN.fullmatch(origin):
                hint = "give a scheme and a host without a path, such as https://example.org"
                raise UserError(f"'{origin}' is not an origin", hint)
        for spec in fields(self):
            value = getattr(self, spec.name)
            if not isinstance(value, int | float) or value > 0:
                continue
            if spec.name != "max_waiting" or value < 0:
                raise UserError(f"{spec.name} is {value}", "give a larger number")
