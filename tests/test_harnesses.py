"""The stored held-out problems for other harnesses match the tiny recipe."""

from __future__ import annotations

import json

from harnesses.held_out import FILE, PER_FAMILY, held_out, record
from steiner.recipe_file import load_recipe


def test_stored_problems_match_the_recipe() -> None:
    """If this fails, the problems have changed: run `python -m harnesses.held_out`."""
    kept = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
    assert kept == [record(problem) for problem in held_out(load_recipe("tiny"), PER_FAMILY)]
