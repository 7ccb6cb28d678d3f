"""Efforts: step limits by name, the same for the command line, the Reasoner and the server.

effort, max_steps -> step limit
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from steiner.types import UserError

EFFORT_STEPS: Mapping[str, int | None] = {
    "none": 1,
    "minimal": 2,
    "low": 4,
    "medium": 12,
    "high": 32,
    "xhigh": 64,
    "max": None,
}
"""Effort -> max_steps; None for no limit."""
DEFAULT_MAX_TOKENS = 8192
"""Most tokens of a completion of `solve`, `chat` and the Reasoner by default, with any effort. The
server's default is what remains of the context, as vLLM's is; it has a time limit as well."""
SHORTEST_EFFORT = "none"
"""The effort that asks for the shortest reasoning that the format allows: one empty step."""


def step_limit(effort: str | None, max_steps: int | None) -> int | None:
    """The step limit of an effort and a number; the number wins.

    Raises UserError for an unknown effort, and for several steps at the shortest one.
    """
    if effort is not None and effort not in EFFORT_STEPS:
        near = get_close_matches(effort, EFFORT_STEPS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"one of: {', '.join(EFFORT_STEPS)}"
        raise UserError(f"unknown effort '{effort}'", hint)
    if effort == SHORTEST_EFFORT and (max_steps or 1) > 1:
        raise UserError(
            f"max_steps is {max_steps}, and effort '{effort}' allows one step", "give one of them"
        )
    if max_steps is not None or effort is None:
        return max_steps
    return EFFORT_STEPS[effort]
