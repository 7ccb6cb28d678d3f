"""docs/results.md: the figures to reach, in their order, with what was measured, met or not.

Records -> Markdown

The values that are in no line of the table follow, figure by figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

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
        "at least +5.56 points, interval above 0",
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
        "SmolLM2-135M, training: real tokens × 6N over the bf16 matrix-product rate, and over a "
        "plain Hugging Face loop with sdpa",
        "at least 45 %, at least 1.1 times",
        "base-training",
    ),
    Line(
        "SmolLM2-135M, decoding: against `generate`, of the rate that its products allow, and 8 "
        "prompts with 8 rollouts each against 64 prompts",
        "at least 2 times, 50 %, 1.5 times",
        "base-decoding",
        (
            "over generate",
            "of the rate of its products",
            "8 prompts with 8 rollouts over 64 prompts",
        ),
    ),
    Line(
        "SmolLM2-135M, decoding 16 rows of 128 tokens against vLLM on CPU",
        "at least 1.2 times",
        "base-vllm",
    ),
    Line(
        "SmolLM2-135M, server: 32 clients against the engine, first token with 16 clients",
        "at least 90 %, at most 3 decode steps after prefill",
        "base-server",
        ("of the engine", "of the engine, streamed", "after prefill, median"),
    ),
    Line(
        "SmolLM2-135M, peak memory: server with 8 clients, SFT at 4 × 1,024 tokens",
        "at most 1.5 GB, 4 GB",
        "base-memory",
    ),
    Line(
        "Qwen2.5-Coder-0.5B-Instruct, peak memory of SFT with LoRA at 4 × 1,024 tokens",
        "at most 6 GB",
        "base-lora",
    ),
    Line(
        "SmolLM2-135M, search paths over (a) direct answers and (b) shortest paths, equal tokens",
        "at least +5.56 points",
        "base-rivals",
        ("over (a) direct", "over (b) shortest"),
    ),
    Line(
        "SmolLM2-135M, perplexity of ordinary text after CPT, over that before",
        "rises by at most 2 %",
        "base-ability",
        ("rise",),
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
FIXED_WORDINGS = frozenset(
    {
        *("277f569", "8d78c4e", "5fc222e"),
        *("4a33d77+", "5ec5831+", "28773ef", "c3834f6", "e0a74bd", "805664c"),
    }
)
"""Commits at which each family had 13 wordings, and no step restated the question."""
_PREAMBLE = """\
Written by `make bench` from `benchmarks/results.json` and `benchmarks/reports.md`. In brackets:
95 % intervals over held-out problems, or the least and greatest of repeated timings. A `+` after a
commit means that the code had uncommitted changes."""
_DIGITS = {"%": 1, "points": 1, "min": 1, "s": 1, "GB": 2, "times": 2, "GFLOP/s": 0, "steps": 0}
_VERDICT = {None: "–", True: "**met**", False: "**not met**"}
_HEAD = "| figure | target | measured | met | command | commit |\n|---|---|---|---|---|---|"
_OLDER = """\
From when each family had 13 wordings and no step restated the question, with the recipe `tiny`
where a model is needed, at the commits that they name; they were not measured again."""


def write_page(records: Sequence[Record], file: Path = PAGE) -> None:
    """Writes the page of all Records."""
    write_text(file, page(records))


def page(records: Sequence[Record]) -> str:
    """The page as Markdown."""
    letters = _letters(records)
    older = [line for line in TABLE if _is_older(_rows(line, records))]
    current = [line for line in TABLE if line not in older]
    sections = [
        "# Results",
        _PREAMBLE,
        _machines(records),
        REPORTS.read_text(encoding="utf-8").strip(),
        "## Time, memory and serving",
        "\n".join([_HEAD, *(_line(line, records) for line in current)]),
    ]
    new = [row for row in records if row.commit not in FIXED_WORDINGS]
    sections += _by_figure(new, "All values", letters)
    if older:
        lines = [_HEAD, *(_line(line, records) for line in older)]
        sections += ["## Older figures", _OLDER, "\n".join(lines)]
        old = [row for row in records if row.commit in FIXED_WORDINGS]
        sections += _by_figure(old, "All older values", letters)
    return "\n\n".join(filter(None, sections)) + "\n"


def _is_older(rows: Sequence[Record]) -> bool:
    return bool(rows) and all(row.commit in FIXED_WORDINGS for row in rows)


def row_text(row: Record) -> str:
    """One value on one line, for a terminal."""
    met = {None: "", True: "  met", False: "  not met"}[row.met]
    target = f"  (target: {row.target})" if row.target else ""
    return f"{row.name}: {_measured(row, named=False)}{target}{met}"


def _rows(line: Line, records: Sequence[Record]) -> list[Record]:
    return [
        row
        for row in records
        if row.figure == line.figure and (not line.values or _short(row) in line.values)
    ]


def _short(row: Record) -> str:
    return row.name.partition("/")[2]


def _machines(records: Sequence[Record]) -> str:
    """The machine of the last run with its rates, then the others, which values name by letter."""
    rates = [row for row in records if row.figure == MACHINE]
    listed = ", ".join(f"{_short(row)} {_number(row.value, row.unit)} {row.unit}" for row in rates)
    lines = [f"- Machine {name}: {machine}" for machine, name in _letters(records).items()]
    if rates:
        lines[0] += f". {listed}"
    return "\n".join(lines)


def _letters(records: Sequence[Record]) -> dict[str, str]:
    """Machine -> letter; A is that of the last run."""
    last = [row.machine for row in records if row.figure == MACHINE]
    machines = dict.fromkeys([*last, *(row.machine for row in records)])
    return dict(zip(machines, ascii_uppercase, strict=False))


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


def _by_figure(records: Sequence[Record], title: str, letters: Mapping[str, str]) -> list[str]:
    """The values of each figure under its own heading, with what they have in common said once."""
    figures = dict.fromkeys(row.figure for row in records if row.figure != MACHINE)
    if not figures:
        return []
    sections = [f"## {title}"]
    for figure in figures:
        rows = [row for row in records if row.figure == figure]
        notes = [_note(row, letters) for row in rows]
        common = notes[0] if len(set(notes)) == 1 else ""
        origin = f"{_distinct(rows, 'command')} at {_distinct(rows, 'commit')}"
        sections.append(f"### {figure}")
        sections.append(f"{origin}; {common}." if common else f"{origin}.")
        sections.append(_values(rows, [""] * len(rows) if common else notes))
    return sections


def _values(rows: Sequence[Record], notes: Sequence[str]) -> str:
    """A table without the columns that would be empty."""
    columns: dict[str, list[str]] = {
        "value": [_short(row) for row in rows],
        "measured": [_measured(row, named=False) for row in rows],
        "target": [row.target for row in rows],
        "met": ["" if row.met is None else _VERDICT[row.met] for row in rows],
        "note": list(notes),
    }
    shown = {name: cells for name, cells in columns.items() if any(cells)}
    lines = [" | ".join(shown), " | ".join("---" for _ in shown)]
    lines += [" | ".join(cells) for cells in zip(*shown.values(), strict=True)]
    return "\n".join(f"| {line} |" for line in lines)


def _note(row: Record, letters: Mapping[str, str]) -> str:
    letter = letters[row.machine]
    return "; ".join(filter(None, (row.note, "" if letter == "A" else f"machine {letter}")))
