"""Progress: a bar on a terminal, a line a minute elsewhere, and nothing for short work."""

from __future__ import annotations

import pytest

from steiner import progress as module
from steiner.progress import no_progress, progress, say


class Clock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module.time, "monotonic", clock)
    return clock


def test_without_a_terminal_short_work_prints_nothing(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress("synth", 100, "dag") as advance:
        for _ in range(100):
            clock.now += 0.5
            advance(1)
    assert capsys.readouterr().err == ""


def test_without_a_terminal_long_work_prints_a_line_a_minute(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress("sft", 10, "step") as advance:
        for _ in range(10):
            clock.now += 30
            advance(1)
    lines = capsys.readouterr().err.splitlines()
    # 10 steps of 30 s: lines after 60, 120, 180 and 240 s; none when all is done.
    assert len(lines) == 4
    assert lines[0].split() == ["sft", "20", "%,", "about", "4", "min", "0", "s", "left"]
    assert not any("\r" in line for line in lines)


def test_the_start_of_long_work_has_no_estimate(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress("sft", 1_000, "step") as advance:
        for seconds in (50, 20, 1, 70):  # the first two steps compile
            clock.now += seconds
            advance(1)
    lines = [line.split() for line in capsys.readouterr().err.splitlines()]
    assert lines == [["sft", "0", "%"], ["sft", "0", "%"]]


def test_nothing_is_shown_where_it_is_turned_off(capsys: pytest.CaptureFixture[str]) -> None:
    with no_progress("text", 10, "token") as advance:
        advance(10)
    assert capsys.readouterr().err == ""


def test_on_a_terminal_a_bar_is_shown_and_removed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module.sys.stderr, "isatty", lambda: True)
    with progress("synth", 4, "dag") as advance:
        advance(2)
        say("a line above the bar")
        advance(2)
    shown = capsys.readouterr().err
    assert "synth" in shown
    assert "a line above the bar\n" in shown
