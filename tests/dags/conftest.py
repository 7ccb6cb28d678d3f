"""Real DAGs of each family, made once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import islice

import pytest

from steiner.dags.solver import build_dag
from steiner.tasks import generate_problems
from steiner.types import ReasoningDag, Split

LEVELS = {"countdown": 2, "jugs": 1, "knights_knaves": 2, "mini_sudoku": 1}
"""Small, and yet with states that several routes reach."""


@cache
def _dags(name: str) -> tuple[ReasoningDag, ...]:
    problems = generate_problems(name, LEVELS.get(name, 1), seed=0, split=Split.TRAIN)
    return tuple(map(build_dag, islice(problems, 4)))


@pytest.fixture(scope="session")
def dags_of() -> Callable[[str], tuple[ReasoningDag, ...]]:
    """Family -> four DAGs of it."""
    return _dags
