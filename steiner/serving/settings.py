"""What a server allows its clients.

command line -> Settings
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from steiner.types import UserError


@dataclass(frozen=True, slots=True)
class Settings:
    """The limits of one server, and the name by which clients ask for its model.

    Raises UserError for a limit that nothing could keep to.
    """

    name: str = "steiner"
    api_key: str = ""
    """What clients must send as a bearer token; empty: nothing."""
    language: str = "en"
    """In which questions of the problem families are recognised, to read their steps' depths."""
    max_batch: int = 64
    """Completions that run at once."""
    max_waiting: int = 256
    """Completions that may wait for a place in the batch; more are refused."""
    max_length: int | None = None
    """Tokens of one completion, its prompt included; None: as many as the model was made for."""
    time_limit_s: float = 300.0
    """From a request's arrival to its last token; then it ends with what it has written."""
    max_body_bytes: int = 1 << 20
    body_timeout_s: float = 30.0
    """How long a client may take to send its body."""

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            if not isinstance(value, int | float) or value > 0:
                continue
            if spec.name != "max_waiting" or value < 0:
                raise UserError(f"{spec.name} is {value}", "give more than that")
