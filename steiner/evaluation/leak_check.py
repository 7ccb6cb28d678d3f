"""Leak check: counts evaluated problems that the training data contain.

EvalItems, keys of the training data (dags/store.py) -> number of leaked items by suite

Problems are compared by canonical key, so an isomorphic problem counts as the same one.
"""

from __future__ import annotations

from collections.abc import Sequence

from steiner.evaluation.suites import EvalItem


def num_leaked(items: Sequence[EvalItem], keys: frozenset[str]) -> dict[str, int]:
    """Suite -> number of its items whose key is in `keys`."""
    return {
        suite: sum(item.problem.key in keys for item in items if item.suite == suite)
        for suite in dict.fromkeys(item.suite for item in items)
    }
