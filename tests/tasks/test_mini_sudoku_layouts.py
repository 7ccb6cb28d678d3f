"""Each layout of a mini sudoku grid can be read back by rules that know no layout's name."""

from __future__ import annotations

import re

import pytest

from steiner.randomness import random_stream
from steiner.tasks.givens import has_digits
from steiner.tasks.mini_sudoku_layouts import BLOCKS, Layout
from steiner.tasks.mini_sudoku_lines import LINES
from steiner.tasks.mini_sudoku_spoken import (
    cell_list,
    cells_by_place,
    cells_in_words,
    grid_spoken,
)
from steiner.tasks.question_grammar import load_grammar

ENGLISH = load_grammar("mini_sudoku")
GRIDS = (
    [1, 0, 3, 0, 0, 4, 0, 2, 2, 0, 4, 0, 0, 3, 0, 1],
    [0, 0, 0, 0, 3, 0, 1, 4, 0, 0, 0, 0, 0, 1, 0, 0],
    [0, 4, 2, 0, 1, 0, 0, 0, 4, 0, 3, 2, 0, 0, 0, 0],
)
ROWS = sorted(
    {*BLOCKS, *LINES, grid_spoken} - {cell_list, cells_by_place}, key=lambda f: f.__name__
)
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "top": 1, "bottom": 4}
DIGITS = {"one": 1, "two": 2, "three": 3, "four": 4} | {str(n): n for n in range(1, 5)}
VERB = "(?:is|has|holds|shows)"
NTH = "first|second|third|fourth|top|bottom"
NUMBER = r"(?:[1-4]|one|two|three|four)"
CORNERS = {"top left": (1, 1), "top right": (1, 4), "bottom left": (4, 1), "bottom right": (4, 4)}
BLANKS = (
    *("question mark", "no number", "blank", "empty", "none", "None", "null", "nil", "gap", "hole"),
    *("nothing", "space", "missing", "dash", "dot", "underscore", "zero", "free", "unknown"),
    *("[ ]", "( )", "___", "__", "_", "??", "?", "..", ".", "--", "-", "xx", "x", "X", "*", "#"),
    *("e", "o", "b", "~", "0", "·", "•", "□", "☐", "⬜"),
)
PLACES = (
    r"(?P<letter>[a-d])(?P<column>[1-4])(?:=|: | is )(?P<digit>[1-4])",
    r"r(?P<row>[1-4])c(?P<column>[1-4])(?:=|: | is )(?P<digit>[1-4])",
    r"[(\[](?P<row>[1-4])(?:, ?|\]\[)(?P<column>[1-4])[)\]](?:=| -> )(?P<digit>[1-4])",
    rf"row (?P<row>[1-4])(?: |, )col(?:umn)? (?P<column>[1-4])(?: {VERB} |: )(?P<digit>{NUMBER})\b",
    r"(?P<digit>[1-4])(?: is)? at row (?P<row>[1-4]) column (?P<column>[1-4])",
    r"(?P<digit>[1-4]) in r(?P<row>[1-4])c(?P<column>[1-4])",
    r"(?P<row>[1-4])/(?P<column>[1-4]) is (?P<digit>[1-4])",
    r"cell (?P<row>[1-4]),(?P<column>[1-4]) = (?P<digit>[1-4])",
    r"x(?P<row>[1-4])(?P<column>[1-4]) = (?P<digit>[1-4])",
    r"row (?P<letter>[a-d]), (?P<column>[1-4]): (?P<digit>[1-4])",
    r"a (?P<digit>[1-4]) in the (?P<column>\w+) cell of the (?P<row>\w+) row",
    r"the (?P<row>\w+) row has (?P<digit>[1-4]) in the (?P<column>\w+) place",
    (
        rf"(?P<row>{NTH}) row(?:'s|,)? (?P<column>{NTH})(?: column| cell:?)?(?: {VERB})? "
        rf"(?P<digit>{NUMBER})\b"
    ),
    rf"(?P<corner>(?:top|bottom) (?:left|right)) {VERB} (?P<digit>{NUMBER})\b",
)
HEAD = re.compile(r"^[| ]*(?:a\W+b\W+c\W+d|c(?:ol )?1\W.*)[| ]*$", re.MULTILINE | re.IGNORECASE)
EMPTY = re.compile(
    r"""(?<=[|│║]) +(?=[|│║])|(?<=[\[{(, ])(["'])\s?\1(?=[,\]})])|(?<=<td>)(?=</td>)"""
)
RECORD = re.compile(r"^[1-4]?([,;|])[1-4]?\1[1-4]?\1[1-4]?$", re.MULTILINE)
LABELS = re.compile(
    r"int g\[4\]\[4\]|np\.array|grid|board|puzzle|</?t[rd]>|\\n|\b(?:and|then|new line)\b"
    r"|(?:\bin )?(?:\bthe )?\b(?:first|second|third|fourth|top|bottom|next|last)\b"
    r"(?: row\b| line\b)?(?: (?:is|goes|reads)\b)?"
    r"|\b(?:row|line|r|R|Row)(?: ?(?:[1-4A-D]|one|two|three|four)\b)(?: is\b| has\b| ->)?"
    r"|\b[A-D]\b|#[1-4]: ",
)
BULLETS = re.compile(r"\A([-*•+>]) .*(?:\n\1 .*){3}\Z")
SEPARATORS = set(" \n\t|,;/\\()[]{}<>\"'`&:+-=│║─┌┬┐├┼┤└┴┘")


def read_rows(text: str) -> set[tuple[int, ...]]:
    """All grids that the text can be taken for, with one of the blanks in all empty cells."""
    if BULLETS.match(text):
        text = re.sub(r"^..", "", text, flags=re.MULTILINE)
    text = HEAD.sub("", text)
    text = RECORD.sub(lambda found: re.sub(r"(?:^|(?<=[,;|]))(?=[,;|]|$)", "_", found[0]), text)
    text = re.sub(
        r"\b(two|three) (blank|gap|space|hole|dot|zero|underscore)s\b",
        lambda w: " ".join([w[2]] * DIGITS[w[1]]),
        text,
    )
    text = LABELS.sub("", EMPTY.sub("_", text))
    text = re.sub(r"\b(?:one|two|three|four)\b(?! times)", lambda w: str(DIGITS[w[0]]), text)
    texts = (text, re.sub(r"(?<=[^. ])\. ", " ", text))
    return {grid for text in texts for blank in BLANKS for grid in _with_blank(text, blank)}


def _with_blank(text: str, blank: str) -> list[tuple[int, ...]]:
    text = re.sub(rf"all {blank}\b|{re.escape(blank)} four times", " ".join([blank] * 4), text)
    cells = re.findall(rf"{re.escape(blank)}|[1-4]", text)
    rest = re.sub(rf"{re.escape(blank)}|[1-4]", "", text)
    boxes = any(box in text and box != blank for box in ("[ ]", "( )"))
    if boxes or not set(rest) <= SEPARATORS - set(blank if len(blank) == 1 else ""):
        return []
    read = [cells, cells[4:] if cells[:4] == list("1234") else []]
    read.append(
        [cell for n, cell in enumerate(cells) if n % 5] if cells[::5] == list("1234") else []
    )
    return [tuple(DIGITS.get(cell, 0) for cell in found) for found in read if len(found) == 16]


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
    return grid if found else None


def _place(text: str) -> int:
    return DIGITS.get(text) or ORDINALS[text]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("layout", [cells_by_place, cell_list, cells_in_words])
def test_cells_named_one_by_one_can_be_read_back(layout: Layout, grid: list[int]) -> None:
    rng = random_stream("places", layout.__name__)
    for _ in range(80):
        text = layout(grid, ENGLISH, rng)
        assert read_places(text) == grid, text


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("layout", ROWS)
def test_rows_can_be_read_back_in_one_way(layout: Layout, grid: list[int]) -> None:
    rng = random_stream("rows", layout.__name__)
    for _ in range(80):
        text = layout(grid, ENGLISH, rng)
        assert read_rows(text) == {tuple(grid)}, text


def test_the_check_of_givens_finds_each_digit_in_each_layout() -> None:
    rng = random_stream("givens")
    for grid in GRIDS:
        for layout in {*BLOCKS, *LINES, grid_spoken, cells_in_words}:
            text = layout(grid, ENGLISH, rng)
            assert has_digits(text, filter(None, grid)), text
