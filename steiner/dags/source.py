"""DAG sources: one way to get a problem's ReasoningDag, solved or read from a store.

Problem -> ReasoningDag
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Protocol

from steiner.dags.solver import build_dag
from steiner.dags.store import DagFile
from steiner.types import Problem, ReasoningDag, RunError

_CACHED_DAGS = 256


class DagSource(Protocol):
    """Gives the ReasoningDag of a problem."""

    def dag(self, problem: Problem) -> ReasoningDag:
        """The DAG of `problem`. Raises SteinerError if there is none."""


class SolverDagSource:
    """Solves each problem; the latest DAGs are kept."""

    def __init__(self) -> None:
        self._dags: OrderedDict[tuple[str, str], ReasoningDag] = OrderedDict()

    def dag(self, problem: Problem) -> ReasoningDag:
        """Raises UserError if no goal can be reached or there are too many states."""
        name = (problem.key, repr(problem.spec))
        if name not in self._dags:
            self._dags[name] = build_dag(problem)
            if len(self._dags) > _CACHED_DAGS:
                self._dags.popitem(last=False)
        self._dags.move_to_end(name)
        return self._dags[name]


class StoredDagSource:
    """Reads DAGs from a dags.parquet, as `steiner synth` writes it.

    A problem that the file lacks, or has only in another isomorphic form, goes to `otherwise`.
    """

    def __init__(self, file: Path, otherwise: DagSource | None = None) -> None:
        self._file, self._otherwise = DagFile(file), otherwise

    def stored(self, problem: Problem) -> ReasoningDag | None:
        """The DAG in the file; None if it has none of exactly this problem."""
        return self._file.dag(problem)

    def dag(self, problem: Problem) -> ReasoningDag:
        """Raises RunError if the file has no DAG of that problem and there is no `otherwise`."""
        stored = self.stored(problem)
        if stored is not None:
            return stored
        if self._otherwise is None:
            raise RunError(
                f"no DAG of {problem.family} problem {problem.key} in {self._file.path}",
                "run `steiner synth` again",
            )
        return self._otherwise.dag(problem)


def dags_of_run(run_dir: Path) -> DagSource:
    """The DAGs that `steiner synth` stored in a run; problems that are not there are solved.

    Own questions are all there. RL draws puzzles of its own, with other names and numbers, so most
    of them are solved, which takes milliseconds.
    """
    file, solver = run_dir / "synth" / "dags.parquet", SolverDagSource()
    return StoredDagSource(file, solver) if file.exists() else solver
