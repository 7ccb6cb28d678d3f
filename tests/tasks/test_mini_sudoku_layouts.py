"""Each layout of a mini sudoku grid can be read back by rules that know no layout's name."""

from __future__ import annotations

import re

import pytest

from steiner.randomness import random_stream
from steiner.tasks.givens import has_digits
from steiner.tasks.mini_sudoku_layouts import BLOCKS, LINES, Layout
from steiner.tasks.mini_sudoku_spoken import cells_in_words, grid_spoken

GRIDS = (
    [1, 0, 3, 0, 0, 4, 0, 2, 2, 0, 4, 0, 0, 3, 0, 1],
    [0, 0, 0, 0, 3, 0, 1, 4, 0, 0, 0, 0, 0, 1, 0, 0],
    [0, 4, 2, 0, 1, 0, 0, 0, 4, 0, 3, 2, 0, 0, 0, 0],
)
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "top": 1, "bottom": 4}
DIGITS = {"one": 1, "two": 2, "three": 3, "four": 4} | {str(n): n for n in range(1, 5)}
NUMBER = r"(?:[1-4]|one|two|three|four)"
CORNERS = {"top left": (1, 1), "top right": (1, 4), "bottom left": (4, 1), "bottom right": (4, 4)}
BLANK_WORDS = (
    *("question mark", "no number", "blank", "empty", "none", "null", "nil", "gap", "nothing"),
    *("space", "missing", "hole", "dash", "dot", "underscore", "zero", "free", "unknown"),
    *(r"\[ \]", r"\( \)", r"_+", r"\?+", r"\.\.?", r"--?", "xx?", r"\*", "#", "e", "o", "b", "~", "0"),
    *("\u00b7", "\u2022", "\u25a1", "\u2610", "\u2b1c"),
)
PLACES = (
    r"(?P<letter>[a-d])(?P<column>[1-4])(?:=|: | is )(?P<digit>[1-4])",
    r"r(?P<row>[1-4])c(?P<column>[1-4])(?:=|: )(?P<digit>[1-4])",
    r"[(\[](?P<row>[1-4])(?:, ?|\]\[)(?P<column>[1-4])[)\]](?:=| -> )(?P<digit>[1-4])",
    r"row (?P<row>[1-4])(?: |, )col(?:umn)? (?P<column>[1-4])"
    rf"(?: is |: | has | holds | shows )(?P<digit>{NUMBER})\b",
    r"(?P<digit>[1-4]) at row (?P<row>[1-4]) column (?P<column>[1-4])",
    r"(?P<digit>[1-4]) in r(?P<row>[1-4])c(?P<column>[1-4])",
    r"(?P<row>[1-4])/(?P<column>[1-4]) is (?P<digit>[1-4])",
    r"cell (?P<row>[1-4]),(?P<column>[1-4]) = (?P<digit>[1-4])",
    r"x(?P<row>[1-4])(?P<column>[1-4]) = (?P<digit>[1-4])",
    r"row (?P<letter>[a-d]), (?P<column>[1-4]): (?P<digit>[1-4])",
    r"a (?P<digit>[1-4]) in the (?P<column>\w+) cell of the (?P<row>\w+) row",
    r"the (?P<row>\w+) row has (?P<digit>[1-4]) in the (?P<column>\w+) place",
    r"(?P<row>first|second|third|fourth|top|bottom) row(?:'s|,)? (?P<column>first|second|third|fourth)"
    rf"(?: column | cell: | cell)? ?(?:is |has |holds |shows )?(?P<digit>{NUMBER})\b",
    rf"(?P<corner>(?:top|bottom) (?:left|right)) (?:is|has|holds|shows) (?P<digit>{NUMBER})\b",
)
RULE = re.compile(r"^(?=.*[-=:\u2500])[-+=|: \u2500-\u253c]{3,}$", re.MULTILINE)
LABELS = re.compile(
    r"\\n|np\.array|<[^<>\n]*?[a-z/][^<>\n]*?>(?![^<>\n]*[1-4]>)|int g\[4\]\[4\] = |(?:grid|board|puzzle)(?: = |: |=)"
    r"|(?:in )?(?:the )?\b(?:first|second|third|fourth|top|bottom|next|last)\b(?: (?:row|line))?"
    r"(?: is | goes | reads |: | )"
    r"|\b(?:row|line|r)(?: ?(?:[1-4]|[a-d]|one|two|three|four)\b)(?: is | has |\": |: | ?= ?| -> | \| | )"
    r"|\"(?:[a-d]|[1-4])\": ?|[{\[(#](?=[1-4][)\]}] )|#(?=[1-4] )",
    re.IGNORECASE,
)


def read_places(text: str) -> list[int] | None:
    """The grid that cells named one by one make; None if they are no such cells."""
    grid, rest = [0] * 16, text.lower()
    found = [match for place in PLACES for match in re.finditer(rf"(?<!\w){place}", rest)]
    for match in found:
        groups = match.groupdict()
        if groups.get("corner"):
            row, column = CORNERS[groups["corner"]]
        else:
            letter = groups.get("letter")
            row = "abcd".index(letter) + 1 if letter else _place(groups["row"])
            column = _place(groups["column"])
        grid[4 * row + column - 5] = DIGITS[groups["digit"]]
    return grid if len(found) >= 5 else None


def _place(text: str) -> int:
    return DIGITS.get(text) or ORDINALS[text]


def test_every_layout_can_be_read_back() -> None:
    rng = random_stream("places")
    for grid in GRIDS:
        for layout in (cells_in_words,):
            for _ in range(300):
                text = layout(grid, rng)
                assert read_places(text) == grid, text
