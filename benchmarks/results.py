"""benchmarks/results.json: one Record a measured value; a figure measured again replaces its own.

Measured, command, commit -> Record;  Records, figure -> results.json

A Record's name is "<figure>/<what>". Its target is words that this module can judge: "at least 40",
"at most 15", "above 0", "below 50", joined by " and "; "interval above 0" judges the near end of
the 95 % interval.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from steiner.evaluation.statistics import Estimate
from steiner.files import reason_and_hint, write_json
from steiner.types import RunError

RESULTS = Path(__file__).parent / "results.json"

_CLAUSE = re.compile(r"(interval )?(at least|at most|above|below) (-?\d+(?:\.\d+)?)")
_HOLDS: Mapping[str, Callable[[float, float], bool]] = {
    "at least": operator.ge,
    "at most": operator.le,
    "above": operator.gt,
    "below": operator.lt,
}


@dataclass(frozen=True, slots=True)
class Measured:
    """A value with its 95 % interval, or the least and greatest of repeated timings."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    target: str = ""
    """Empty where nothing is asked."""
    note: str = ""

    @classmethod
    def of(
        cls,
        name: str,
        estimate: Estimate,
        unit: str,
        target: str = "",
        *,
        scale: float = 100.0,
        note: str = "",
    ) -> Measured:
        """A share as per cent, or a difference of shares as points."""
        value, low, high = (scale * x for x in (estimate.value, estimate.low, estimate.high))
        return cls(name, value, low, high, unit, target, note)

    @classmethod
    def repeated(
        cls, name: str, values: Sequence[float], unit: str, target: str = "", note: str = ""
    ) -> Measured:
        """The median of repeated measurements, with the least and the greatest."""
        times = "once" if len(values) == 1 else f"{len(values)} times, least to greatest"
        note = "; ".join(filter(None, (note, f"measured {times}")))
        return cls(name, median(values), min(values), max(values), unit, target, note)


@dataclass(frozen=True, slots=True)
class Record:
    """A Measured with the command that makes it again, and the commit and the machine that it was
    measured at."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    target: str
    command: str
    commit: str
    machine: str
    note: str = ""

    @property
    def figure(self) -> str:
        """The part of the name before the slash."""
        return self.name.partition("/")[0]

    @property
    def met(self) -> bool | None:
        """True if the target is reached; None if there is none."""
        clauses = list(_clauses(self.target))
        return all(holds(self) for holds in clauses) if clauses else None


def record(figure: str, measured: Measured, command: str, commit: str, machine: str) -> Record:
    """The Record of what `figure` measured. Raises ValueError for a target that none can judge."""
    list(_clauses(measured.target))
    values = asdict(measured) | {"name": f"{figure}/{measured.name}"}
    return Record(**values, command=command, commit=commit, machine=machine)


def _clauses(target: str) -> Iterator[Callable[[Record], bool]]:
    for words in filter(None, target.split(" and ")):
        match = _CLAUSE.fullmatch(words)
        if not match:
            raise ValueError(f"target {target!r} cannot be judged: {words!r}")
        yield _judge(match[1] is not None, match[2], float(match[3]))


def _judge(of_interval: bool, relation: str, bound: float) -> Callable[[Record], bool]:
    near_end = "low" if relation in ("at least", "above") else "high"
    field = near_end if of_interval else "value"
    return lambda measured: _HOLDS[relation](getattr(measured, field), bound)


def read_results(file: Path = RESULTS) -> list[Record]:
    """All Records; none where the file is absent. Raises RunError where it is damaged."""
    if not file.exists():
        return []
    try:
        return [Record(**row) for row in json.loads(file.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        reason, hint = reason_and_hint(error, "restore it with git")
        raise RunError(f"cannot read {file}: {reason}", hint) from error


def merge_results(figure: str, records: Iterable[Record], file: Path = RESULTS) -> list[Record]:
    """Puts `records` in place of the old ones of `figure`; returns all Records of the file."""
    kept = [row for row in read_results(file) if row.figure != figure]
    merged = [*kept, *records]
    write_json(file, [asdict(row) for row in merged])
    return merged
