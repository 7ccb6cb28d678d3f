"""The commit that figures are measured at.

-> short hash, with a plus if the code differs from it
"""

from __future__ import annotations

import subprocess
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_WRITTEN = (":!benchmarks/results.json", ":!docs/results.md")
"""Files that the benchmark writes; their changes do not count."""


def current_commit() -> str:
    """The commit that is checked out, with a plus if the code differs from it."""
    commit = _git("rev-parse", "--short", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *_WRITTEN)
    return f"{commit or 'unknown'}{'+' if changed else ''}"


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(_ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
