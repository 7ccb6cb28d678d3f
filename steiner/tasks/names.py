"""Personal names of many cultures, for puzzles about people.

steiner/tasks/steps/<language>/names.txt -> names
"""

from __future__ import annotations

import hashlib
from functools import cache

from steiner.tasks.phrases import require_language

_HELD_OUT_SHARE = 0.1


@cache
def known_names(language: str = "en", *, held_out: bool) -> tuple[str, ...]:
    """The names that training uses or, with `held_out`, those that it never sees."""
    text = (require_language(language) / "names.txt").read_text(encoding="utf-8")
    names = [line.strip() for line in text.splitlines() if line and not line.startswith("#")]
    return tuple(name for name in names if _is_held_out(name) == held_out)


def _is_held_out(name: str) -> bool:
    digest = hashlib.sha256(f"names/{name.casefold()}".encode()).digest()
    return digest[0] < 256 * _HELD_OUT_SHARE
