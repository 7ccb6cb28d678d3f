"""Results merge by figure, are compared with their targets, and are rendered as a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.page import FIXED_WORDINGS, TABLE, page, write_page
from benchmarks.results import Measured, Record, merge_results, read_results, record
from benchmarks.run import FIGURES, main
from steiner.evaluation.statistics import Estimate
from steiner.types import RunError


def _record(name: str, value: float, target: str = "", **fields: str) -> Record:
    figure, _, short = name.partition("/")
    measured = Measured(
        short, value, value - 1, value + 1, "points", target, fields.get("note", "")
    )
    commit, machine = fields.get("commit", "abc1234"), fields.get("machine", "this one")
    return record(figure, measured, f"make bench FIGURE={figure}", commit, machine)


def test_a_figure_measured_again_replaces_its_own_rows_only(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    merge_results("rl", [_record("rl/over sft", 2.0), _record("rl/gone", 1.0)], file)
    merge_results("synth", [_record("synth/time", 30.0)], file)
    merge_results("rl", [_record("rl/over sft", 4.0, commit="def5678")], file)
    rows = {row.name: row for row in read_results(file)}
    assert list(rows) == ["synth/time", "rl/over sft"]
    assert rows["rl/over sft"].value == 4.0
    assert rows["rl/over sft"].commit == "def5678"


def test_the_file_has_the_documented_fields(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    merge_results("large", [_record("large/gain", 1.5, "above 0", note="half the FLOPs")], file)
    assert json.loads(file.read_text()) == [
        {
            "name": "large/gain",
            "value": 1.5,
            "low": 0.5,
            "high": 2.5,
            "unit": "points",
            "target": "above 0",
            "command": "make bench FIGURE=large",
            "commit": "abc1234",
            "machine": "this one",
            "note": "half the FLOPs",
        }
    ]


@pytest.mark.parametrize("text", ["[{", '{"name": 1}', '[{"name": "rl/x"}]'])
def test_a_damaged_file_is_an_error(text: str, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(text)
    with pytest.raises(RunError, match="cannot read"):
        merge_results("rl", [_record("rl/over sft", 2.0)], file)
    assert file.read_text() == text


@pytest.mark.parametrize(
    ("value", "target", "met"),
    [
        (3.53, "at least 3.53", True),
        (3.52, "at least 3.53", False),
        (0.9, "above 0 and interval above 0", False),  # the interval begins at -0.1
        (1.1, "above 0 and interval above 0", True),
        (50.0, "below 50", False),
        (-0.5, "below 0 and interval below 0", False),  # the interval ends at 0.5
        (15.0, "at most 15", True),
        (7.0, "", None),
    ],
)
def test_targets_are_judged(value: float, target: str, met: bool | None) -> None:
    assert _record("rl/over sft", value, target).met is met


def test_an_unreadable_target_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be judged"):
        _record("rl/over sft", 1.0, "as good as can be")


def test_shares_are_per_cent_and_timings_have_a_range() -> None:
    share = Measured.of("mean", Estimate(0.5, 0.25, 0.75, 8), "%")
    assert (share.value, share.low, share.high) == (50.0, 25.0, 75.0)
    timing = Measured.repeated("time", [3.0, 1.0, 2.0], "s", note="quiet")
    assert (timing.value, timing.low, timing.high) == (2.0, 1.0, 3.0)
    assert timing.note == "quiet; measured 3 times, least to greatest"


def test_the_page_says_which_targets_are_met(tmp_path: Path) -> None:
    records = [
        _record("shortest/gain", 14.0, "at least 15", note="1.01 times the time"),
        _record("shortest/accuracy of the rival", 60.0),
        _record("rl/over sft", 4.0, "at least 3.53 and interval above 0"),
        _record("rl/accuracy of sft", 70.0),
        _record("budgets/least rise, jugs", -1.0, "above 0"),
        _record("budgets/first to last", 30.0, "at least 25"),
    ]
    write_page(records, tmp_path / "docs" / "results.md")
    lines = (tmp_path / "docs" / "results.md").read_text().splitlines()
    (shortest,) = [line for line in lines if line.startswith("| over a model of the same size")]
    assert "gain: +14.0 points [+13.0, +15.0]" in shortest
    assert "| **not met** | `make bench FIGURE=shortest` | `abc1234` |" in shortest
    (rl,) = [line for line in lines if line.startswith("| RL over SFT")]
    assert "| +4.0 points [+3.0, +5.0] | **met** |" in rl
    (budgets,) = [line for line in lines if "at budgets" in line]
    assert "**not met**: least rise, jugs" in budgets
    assert lines[lines.index("### rl") + 2] == "`make bench FIGURE=rl` at `abc1234`."
    assert "| accuracy of sft | +70.0 points [+69.0, +71.0] |  |  |" in lines
    assert (
        "| gain | +14.0 points [+13.0, +15.0] | at least 15 | **not met** | 1.01 times the time |"
        in lines
    )


def test_values_of_another_machine_have_a_note() -> None:
    records = [
        _record("synth/time", 30.0, machine="a fast one", note="once"),
        _record("rl/over sft", 4.0),
        _record("machine/fp32 matrix product", 100.0),
    ]
    lines = page(records).splitlines()
    machines = [line for line in lines if line.startswith("- ")]
    assert machines == [
        "- Machine A: this one. fp32 matrix product +100.0 points",
        "- Machine B: a fast one",
    ]
    assert "`make bench FIGURE=synth` at `abc1234`; once; machine B." in lines
    assert "`make bench FIGURE=rl` at `abc1234`." in lines


def test_figures_of_before_are_in_a_section_of_their_own() -> None:
    before = min(FIXED_WORDINGS)
    records = [_record("synth/time", 30.0), _record("rl/over sft", 4.0, commit=before)]
    text = page(records)
    assert text.index("FIGURE=synth") < text.index("## Older figures") < text.index("| RL over SFT")
    assert page(records[:1]).count("## Older figures") == 0


def test_every_line_of_the_table_is_shown_in_order_and_names_a_figure() -> None:
    text = page([])
    places = [text.index(f"| {line.title} | {line.target} | not measured |") for line in TABLE]
    assert places == sorted(places)
    assert {line.figure for line in TABLE} <= set(FIGURES)


def test_an_unknown_figure_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trouhgput"]) == 2
    assert "did you mean 'throughput'?" in capsys.readouterr().err
