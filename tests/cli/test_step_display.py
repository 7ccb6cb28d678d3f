"""The display of a search: wrapping to the terminal, colours, characters."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steiner.cli.step_display import StepDisplay
from steiner.cli.style import Style
from steiner.cli.text_column import TextColumn, display_width, fill
from steiner.inference.search_tree import Mark
from steiner.inference.step_events import (
    AnswerDelta,
    Component,
    ComponentDelta,
    ComponentFinished,
    StepFinished,
    StepPlaced,
    StepStarted,
)
from steiner.types import Decision

PLAIN = Style(colour=False, unicode=True)
LONG = "Use the first number, then the second one and after that the third of them"


class FakeTerminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def _shown(style: Style) -> list[str]:
    """The lines of one step, a backtrack and a long answer."""
    stream = io.StringIO()
    display = StepDisplay(stream, style)
    for step in range(2):
        display.show(StepStarted(0, step))
        for component in Component:
            for word in LONG.split(" "):
                display.show(ComponentDelta(0, step, component, f"{word} "))
            display.show(ComponentFinished(0, step, component, LONG))
            if component is Component.NEXT_STEP:
                display.show(StepPlaced(0, step, 1, None))
        display.show(StepFinished(0, step, Decision.BACKTRACK))
    display.show(AnswerDelta(0, LONG))
    display.interrupt()
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 50, 60, 80, 120])
def test_nothing_is_wider_than_the_terminal(width: int) -> None:
    lines = _shown(Style(colour=False, unicode=True, width=width, wraps=True))
    assert max(map(display_width, lines)) <= width
    assert " ".join(" ".join(lines).split()).count(LONG) == 2 * len(Component) + 1


def test_text_hangs_beside_its_label_in_a_wide_terminal() -> None:
    lines = _shown(Style(colour=False, unicode=True, width=80, wraps=True))
    assert (
        lines[0]
        == "  1  next step              Use the first number, then the second one and after"
    )
    assert lines[1].startswith(" " * 28 + "that the third of them")


def test_text_is_under_its_label_in_a_narrow_terminal() -> None:
    lines = _shown(Style(colour=False, unicode=True, width=50, wraps=True))
    assert lines[:3] == [
        "  1  next step",
        "       Use the first number, then the second one",
        "       and after that the third of them",
    ]


def test_pipes_get_whole_lines() -> None:
    assert f"  1  next step              {LONG} " in _shown(PLAIN)


def test_origin_after_a_backtrack_is_part_of_the_wrapped_line() -> None:
    lines = _shown(Style(colour=False, unicode=True, width=60, wraps=True))
    assert "(again from the question)" in " ".join(" ".join(lines).split())


@given(
    st.text(st.sampled_from("ab 漢\n"), max_size=60),
    st.integers(1, 9),
    st.integers(20, 40),
)
def test_wrapping_keeps_the_text_whatever_its_pieces(text: str, size: int, width: int) -> None:
    stream = io.StringIO()
    column = TextColumn(stream, indent=4, width=width)
    for start in range(0, len(text), size):
        column.write(text[start : start + size])
    column.finish()
    lines = stream.getvalue().split("\n")
    assert "".join(stream.getvalue().split()) == "".join(text.split())
    assert all(line.startswith("    ") for line in lines[1:])
    assert display_width(lines[0]) <= width - 4
    assert all(display_width(line) <= width for line in lines[1:])


def test_word_longer_than_a_line_is_cut() -> None:
    stream = io.StringIO()
    column = TextColumn(stream, indent=2, width=20)
    column.write("a" * 40)
    column.finish()
    assert stream.getvalue() == "\n  ".join(["a" * 18, "a" * 18, "a" * 4])


def test_entries_fill_lines() -> None:
    assert fill(["aa", "bb", "cc"], " ", 5) == [[0, 1], [2]]
    assert fill(["aa", "bb", "cc"], " ", None) == [[0, 1, 2]]
    assert fill(["a" * 9, "b"], " ", 5) == [[0], [1]]


def test_control_characters_are_not_passed_on() -> None:
    stream = io.StringIO()
    display = StepDisplay(stream, PLAIN)
    for event in (
        StepStarted(0, 0),
        ComponentDelta(0, 0, Component.NEXT_STEP, "\x1b[2J\x07go\n on"),
        AnswerDelta(0, " \x1b]0;title"),
    ):
        display.show(event)
    shown = stream.getvalue()
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "\n" + " " * 28 + " on\n" in shown  # a new line of the text keeps the indent


def test_no_meaning_depends_on_colour_alone() -> None:
    for style in (PLAIN, Style(colour=False, unicode=False)):
        assert len({style.decision(decision) for decision in Decision}) == 3
        assert len({style.glyphs.marks[mark] for mark in Mark}) == len(Mark)


def test_end_of_a_search_does_not_look_like_a_goal() -> None:
    for style in (PLAIN, Style(colour=False, unicode=False)):
        assert style.decision(Decision.END).split()[0] != style.glyphs.marks[Mark.GOAL]


def test_colour_only_in_a_terminal_that_wants_it() -> None:
    assert Style.of(FakeTerminal(), {"TERM": "xterm"}).colour
    assert not Style.of(FakeTerminal(), {"TERM": "xterm", "NO_COLOR": "1"}).colour
    assert not Style.of(FakeTerminal(), {"TERM": "dumb"}).colour
    assert not Style.of(io.StringIO(), {"TERM": "xterm"}).colour


def test_only_terminals_wrap() -> None:
    assert Style.of(FakeTerminal(), {"TERM": "dumb"}).wraps
    assert not Style.of(io.StringIO(), {"TERM": "xterm"}).wraps
