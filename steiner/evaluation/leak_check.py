"""Leak check: counts evaluated problems that the training data contain.

training data folder, EvalItems -> number of leaked items by suite

Problems are compared by canonical key, so an isomorphic problem counts as the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from steiner.evaluation.suites import EvalItem

_FILES = ("dags.parquet", "paths.parquet")


def training_keys(data_dir: Path) -> frozenset[str]:
    """The canonical keys of all problems in the data of `steiner synth`."""
    files = [data_dir / name for name in _FILES if (data_dir / name).is_file()]
    columns = (pq.read_table(file, columns=["key"]).column("key") for file in files)
    return frozenset(key for column in columns for key in column.unique().to_pylist())


def num_leaked(items: Sequence[EvalItem], keys: frozenset[str]) -> dict[str, int]:
    """Suite -> number of its items whose key is in `keys`."""
    return {
        suite: sum(item.problem.key in keys for item in items if item.suite == suite)
        for suite in dict.fromkeys(item.suite for item in items)
    }
