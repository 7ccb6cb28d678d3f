"""docs/results.md: the figures to reach, in their order, with what was measured, met or not.

Records -> Markdown
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import Record
from steiner.files import write_text

PAGE = Path(__file__).parent.parent / "docs" / "results.md"
REPORTS = Path(__file__).parent / "reports.md"
"""Figures of whole trainings, which are written by hand with their commands."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: its words, and the figure that it takes its values from."""

    title: str
    target: str
    figure: str
    values: tuple[str, ...] = ()
    """Names of the values shown; all values of the figure if it is empty."""


TABLE = (
    Line("`make run` after installation, tiny recipe, whole", "at most 15 minutes, 4 GB", "run"),
    Line("peak memory of `make run`, by stage", "at most 4 GB", "memory"),
    Line("10,000 DAGs and 50,000 paths, written to Parquet", "at most 60 s", "synth"),
    Line(
        "held-out accuracy after RL, at the step budget chosen on validation problems, "
        "mean of the families",
        "at least 85 %",
        "accuracy",
    ),
    Line(
        "over a direct-answer model of the same size, base and training time",
        "at least +30 points; the direct model solves under half of each family",
        "direct",
    ),
    Line(
        "over a model of the same size trained on shortest paths without backtracking, same time",
        "at least +15 points",
        "shortest",
    ),
    Line(
        "RL over SFT, same decoding, no budget",
        "at least +3.53 points, interval above 0",
        "rl",
        ("over sft",),
    ),
    Line(
        "RL with the chosen step budget, over SFT without one",
        "at least +5.56 points",
        "rl",
        ("budget over sft",),
    ),
    Line(
        "accuracy at budgets 2, 4, 8, 16, 32",
        "rises at every doubling until the family is solved; +25 points from first to last",
        "budgets",
    ),
    Line(
        "over a direct-answer model with 8 times the parameters, same training FLOPs",
        "ahead",
        "large",
    ),
    Line(
        "engine, 64 sequences × 256 tokens, same weights, one run",
        "at least 2 times transformers' `generate`, at least 1.3 times vLLM on CPU",
        "engine",
    ),
    Line(
        "training throughput: 6 × parameters × real (unpadded) tokens, over the machine's measured "
        "bf16 matrix-product rate",
        "at least 30 %",
        "throughput",
    ),
    Line(
        "`steiner solve` on the embedded model, cold, to first step shown", "at most 3 s", "solve"
    ),
    Line(
        "server, 64 clients at once, against the engine's own throughput",
        "at least 90 %",
        "serving-load",
        ("of the engine", "of the engine, streamed"),
    ),
    Line(
        "server under that load against vLLM on CPU, same model, one run",
        "at least 1.5 times the tokens a second",
        "serving-vllm",
    ),
    Line(
        "time to first token with 16 clients, median",
        "at most 3 decode steps after prefill",
        "serving-first-token",
        ("after prefill, median",),
    ),
    Line(
        "schemathesis on the OpenAPI schema, 2,000 cases",
        "no 5xx but 503, no leaked place",
        "serving-fuzz",
    ),
    Line("1,000 malformed bodies", "no 5xx, no leaked place", "serving-malformed"),
    Line(
        "clients killed mid-stream for 5 minutes",
        "no 5xx but 503, no leaked place, memory level",
        "serving-killed",
    ),
)
"""What the project set out to reach."""

MACHINE = "machine"
_PREAMBLE = """\
Written by `make bench` from `benchmarks/results.json` and `benchmarks/reports.md`. In brackets:
95 % intervals over held-out problems, or the least and greatest of repeated timings."""
_DIGITS = {"%": 1, "points": 1, "min": 1, "s": 1, "GB": 2, "times": 2, "GFLOP/s": 0, "steps": 0}
_VERDICT = {None: "–", True: "**met**", False: "**not met**"}
_HEAD = "| figure | target | measured | met | command | commit |\n|---|---|---|---|---|---|"


def write_page(records: Sequence[Record], file: Path = PAGE) -> None:
    """Writes the page of all Records."""
    write_text(file, page(records))


def page(records: Sequence[Record]) -> str:
    """The page as Markdown."""
    further = [row for row in records if not _in_table(row) and row.figure != MACHINE]
    sections = [
        "# Results",
        _PREAMBLE,
        _machine(records),
        REPORTS.read_text(encoding="utf-8").strip(),
        "## Figures to reach",
        "\n".join([_HEAD, *(_line(line, records) for line in TABLE)]),
        "## Further figures" if further else "",
        _further(further) if further else "",
        _notes(records),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def row_text(row: Record) -> str:
    """One value on one line, for a terminal."""
    met = {None: "", True: "  met", False: "  not met"}[row.met]
    target = f"  (target: {row.target})" if row.target else ""
    return f"{row.name}: {_measured(row, named=False)}{target}{met}"


def _in_table(row: Record) -> bool:
    return any(row in _rows(line, [row]) for line in TABLE)


def _rows(line: Line, records: Sequence[Record]) -> list[Record]:
    return [
        row
        for row in records
        if row.figure == line.figure and (not line.values or _short(row) in line.values)
    ]


def _short(row: Record) -> str:
    return row.name.partition("/")[2]


def _machine(records: Sequence[Record]) -> str:
    rates = [row for row in records if row.figure == MACHINE]
    if not rates:
        return ""
    listed = ", ".join(f"{_short(row)} {_number(row.value, row.unit)} {row.unit}" for row in rates)
    return f"Machine of the last run: {rates[0].machine}. {listed}."


def _line(line: Line, records: Sequence[Record]) -> str:
    rows = _rows(line, records)
    if not rows:
        command = f"`make bench FIGURE={line.figure}`"
        return f"| {line.title} | {line.target} | not measured | – | {command} | – |"
    single = len(rows) == 1
    measured = "<br>".join(_measured(row, named=not single) for row in rows)
    origin = " | ".join(_distinct(rows, field) for field in ("command", "commit"))
    return f"| {line.title} | {line.target} | {measured} | {_verdict(rows)} | {origin} |"


def _verdict(rows: Sequence[Record]) -> str:
    """Met where every judged value is; else which are not."""
    judged = [row for row in rows if row.met is not None]
    missed = [row for row in judged if not row.met]
    if not judged:
        return "not judged"
    if len(judged) == 1 or not missed:
        return _VERDICT[not missed]
    return f"{_VERDICT[False]}: {', '.join(_short(row) for row in missed)}"


def _distinct(rows: Sequence[Record], field: str) -> str:
    return "<br>".join(dict.fromkeys(f"`{getattr(row, field)}`" for row in rows))


def _measured(row: Record, *, named: bool) -> str:
    name = f"{_short(row)}: " if named else ""
    value = f"{_number(row.value, row.unit)} {row.unit}".strip()
    if row.low == row.high == row.value:
        return f"{name}{value}"
    return f"{name}{value} [{_number(row.low, row.unit)}, {_number(row.high, row.unit)}]"


def _number(value: float, unit: str) -> str:
    digits = _DIGITS.get(unit)
    text = f"{value:.4g}" if digits is None else f"{value:,.{digits}f}"
    return f"+{text}" if unit == "points" and value > 0 else text


def _further(records: Sequence[Record]) -> str:
    lines = [
        f"| {row.name} | {row.target or 'none'} | {_measured(row, named=False)} "
        f"| {_VERDICT[row.met]} | `{row.command}` | `{row.commit}` |"
        for row in records
    ]
    return "\n".join([_HEAD, *lines])


def _notes(records: Sequence[Record]) -> str:
    last = next((row.machine for row in records if row.figure == MACHINE), "")
    notes = [
        (row.name, "; ".join(filter(None, (row.note, _elsewhere(row, last)))))
        for row in records
        if row.figure != MACHINE
    ]
    listed = [f"- {name}: {note}." for name, note in notes if note]
    return "\n".join(["## Notes", "", *listed]) if listed else ""


def _elsewhere(row: Record, last: str) -> str:
    other = last and row.machine != last
    return f"measured on another machine: {row.machine}" if other else ""
