"""A 4 by 4 grid in words: rows as somebody reads them out, and given cells by their places.

grid, random stream -> text without a mark at its end
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from steiner.tasks.mini_sudoku_grids import rows_of
from steiner.tasks.typing_habits import number_in_words

_BLANKS = (
    *("empty", "blank", "empty", "gap", "nothing", "blank", "space", "missing", "empty", "hole"),
    *("question mark", "dash", "dot", "underscore", "x", "zero", "free", "unknown", "no number"),
)
_ORDINALS = ("first", "second", "third", "fourth")
_NAMES = (
    *(_ORDINALS, _ORDINALS, _ORDINALS, ("top", "next", "third", "bottom")),
    *(("top", "second", "third", "bottom"), ("first", "next", "third", "last")),
)
_HEADS = (
    *("{name} row: ", "{name} row ", "row {n}: ", "row {word}: ", "{name}: ", "{name} line: "),
    *("{name} row is ", "row {word} has ", "row {n} is ", "in the {name} row ", "{name} row goes "),
    *("{name} line ", "line {n}: ", "the {name} row reads ", "row {letter}: ", "row {word} "),
)
_EMPTY_ROWS = ("all {blank}", "{blank}, {blank}, {blank}, {blank}", "{blank} four times")
_CORNERS = {0: "top left", 3: "top right", 12: "bottom left", 15: "bottom right"}

_PLACES = (
    *("{letter}{column}={digit}", "r{row}c{column}={digit}", "({row},{column})={digit}"),
    *(
        "row {row} column {column} is {digit}",
        "R{row}C{column}: {digit}",
        "[{row}][{column}]={digit}",
    ),
    *("row {row}, col {column}: {digit}", "{digit} at row {row} column {column}"),
    *("{digit} in r{row}c{column}", "{row}/{column} is {digit}", "({row}, {column}) -> {digit}"),
    *("cell {row},{column} = {digit}", "{letter}{column} is {digit}", "{letter}{column}: {digit}"),
    *("{row_name} row {column_name} column {digit}", "{row_name} row, {column_name} cell: {digit}"),
    *("a {digit} in the {column_name} cell of the {row_name} row", "x{row}{column} = {digit}"),
    *(
        "the {row_name} row has {digit} in the {column_name} place",
        "row {letter}, {column}: {digit}",
    ),
)
_CELL_ENDS = (
    *("", "", "", ", the rest is empty", ", nothing else", ", other cells blank"),
    *(", all others empty", " (the rest is blank)", " and the others are open"),
)


def grid_spoken(grid: Sequence[int], rng: random.Random) -> str:
    """The rows one after the other, as somebody reads them out."""
    between = rng.choice((". ", ", then ", "; ", ". ", ", ", " and ", " "))
    return between.join(spoken_rows(grid, rng))


def spoken_rows(grid: Sequence[int], rng: random.Random) -> list[str]:
    """Each row with its name: `first row one, blank, blank, four`."""
    blank, in_words = rng.choice(_BLANKS), rng.random() < 0.6
    head, names, between = rng.choice(_HEADS), rng.choice(_NAMES), rng.choice((", ", ", ", " "))
    empty_row = rng.choice(_EMPTY_ROWS) if between == ", " else " ".join([blank] * 4)
    rows = []
    for n, row in enumerate(rows_of(grid)):
        words = ((number_in_words(c) if in_words else str(c)) if c else blank for c in row)
        cells = between.join(words) if any(row) else empty_row.format(blank=blank)
        word = number_in_words(n + 1)
        rows.append(head.format(name=names[n], n=n + 1, word=word, letter="ABCD"[n]) + cells)
    return rows


def cells_by_place(grid: Sequence[int], rng: random.Random) -> str:
    """The given digits by their places on one line; the other cells are empty."""
    head = rng.choice(("", "", "given cells: ", "only these are known: ", "givens: ", "clues: "))
    between = rng.choice((", ", ", ", "; ", " and ", ", and ")) if not head else ", "
    return head + between.join(_placed(grid, rng)) + rng.choice(_CELL_ENDS)


def cell_list(grid: Sequence[int], rng: random.Random) -> str:
    """The given digits by their places, one on each line."""
    mark = rng.choice(("", "", "- ", "* "))
    return "\n".join(mark + text for text in _placed(grid, rng))


def cells_in_words(grid: Sequence[int], rng: random.Random) -> str:
    """The given digits as somebody tells them; the corners have names of their own."""
    verb, rows = (
        rng.choice(("is", "is", "has", "holds", "shows")),
        rng.choice((_ORDINALS, ("top", "second", "third", "bottom"))),
    )
    digits = number_in_words if rng.random() < 0.4 else str
    place = rng.choice(
        ("the {row} row's {column} cell", "row {n} column {m}", "{row} row {column}")
    )
    texts = [
        f"{name or place.format(row=rows[row], column=_ORDINALS[column], n=row + 1, m=column + 1)}"
        f" {verb} {digits(digit)}"
        for name, row, column, digit in _named(grid)
    ]
    return rng.choice((", ", ", ", "; ", " and ")).join(texts)


def _named(grid: Sequence[int]) -> Iterator[tuple[str, int, int, int]]:
    """Name if it is a corner, row and column from 0, and digit, of each given cell."""
    for cell, digit in enumerate(grid):
        if digit:
            yield _CORNERS.get(cell, ""), *divmod(cell, 4), digit


def _placed(grid: Sequence[int], rng: random.Random) -> list[str]:
    """The given digits by their places in one style, sometimes in another order."""
    place = rng.choice(_PLACES)
    texts = [
        place.format(
            letter="abcd"[row],
            row=row + 1,
            column=column + 1,
            row_name=_ORDINALS[row],
            column_name=_ORDINALS[column],
            digit=digit,
        )
        for _, row, column, digit in _named(grid)
    ]
    if rng.random() < 0.15:
        rng.shuffle(texts)
    return texts
