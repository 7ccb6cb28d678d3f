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
_COUNTED = ("blank", "gap", "space", "hole", "dot", "zero", "underscore")
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

_SHORT_PLACES = (
    *("{letter}{column}={digit}", "r{row}c{column}={digit}", "({row},{column})={digit}"),
    *("R{row}C{column}: {digit}", "[{row}][{column}]={digit}", "({row}, {column}) -> {digit}"),
    *("{letter}{column}: {digit}", "x{row}{column} = {digit}", "{digit} in r{row}c{column}"),
)
"""Places that fit where a grid fits."""
_CLAUSES = (
    *("row {row} column {column} is {digit}", "row {row}, col {column} is {digit}"),
    *("{row}/{column} is {digit}", "{letter}{column} is {digit}", "cell {row},{column} = {digit}"),
    *("{digit} is at row {row} column {column}", "r{row}c{column} is {digit}"),
    "the {row_name} row has {digit} in the {column_name} place",
    "there is a {digit} in the {column_name} cell of the {row_name} row",
)
"""Places as sentences without a mark."""
_LIST_PLACES = (
    *("row {row}, col {column}: {digit}", "{digit} at row {row} column {column}"),
    *("{row_name} row {column_name} column {digit}", "{row_name} row, {column_name} cell: {digit}"),
    *(
        "a {digit} in the {column_name} cell of the {row_name} row",
        "row {letter}, {column}: {digit}",
    ),
)


def grid_spoken(grid: Sequence[int], rng: random.Random) -> str:
    """The rows one after the other, as somebody reads them out."""
    if rng.random() < 0.2:
        between = rng.choice((", next row ", ", next row: ", ". ", ". next: ", " new line ", "; "))
        return between.join(_spoken_cells(grid, rng))
    between = rng.choice((". ", ", then ", "; ", ". ", ", ", " and ", " "))
    return between.join(spoken_rows(grid, rng))


def spoken_rows(grid: Sequence[int], rng: random.Random) -> list[str]:
    """Each row with its name: `first row one, blank, blank, four`."""
    head, names = rng.choice(_HEADS), rng.choice(_NAMES)
    rows = enumerate(_spoken_cells(grid, rng))
    return [
        head.format(name=names[n], n=n + 1, word=number_in_words(n + 1), letter="ABCD"[n]) + cells
        for n, cells in rows
    ]


def _spoken_cells(grid: Sequence[int], rng: random.Random) -> list[str]:
    """Each row's cells: `one, blank, blank, four`, or `one, two blanks, four`."""
    blank, in_words, between = (
        rng.choice(_BLANKS),
        rng.random() < 0.6,
        rng.choice((", ", ", ", " ")),
    )
    empty_row = rng.choice(_EMPTY_ROWS) if between == ", " else " ".join([blank] * 4)
    counts_blanks = between == ", " and blank in _COUNTED and rng.random() < 0.25
    rows = []
    for row in rows_of(grid):
        words = [(number_in_words(c) if in_words else str(c)) if c else blank for c in row]
        cells = between.join(words) if any(row) else empty_row.format(blank=blank)
        if counts_blanks and any(row):
            for number in (3, 2):
                run = between.join([blank] * number)
                cells = cells.replace(run, f"{number_in_words(number)} {blank}s")
        rows.append(cells)
    return rows


def cells_by_place(grid: Sequence[int], rng: random.Random) -> str:
    """The given digits by their places on one line; the other cells are empty."""
    end = rng.choice(("", "", "", " (the rest is blank)", " (others empty)", ", nothing else"))
    return rng.choice((", ", ", ", "; ", " ")).join(_placed(grid, rng, _SHORT_PLACES)) + end


def cell_list(grid: Sequence[int], rng: random.Random) -> str:
    """The given digits by their places, one on each line."""
    mark = rng.choice(("", "", "- ", "* "))
    places = (*_SHORT_PLACES, *_CLAUSES, *_LIST_PLACES)
    return "\n".join(mark + text for text in _placed(grid, rng, places))


def cells_in_words(grid: Sequence[int], rng: random.Random) -> str:
    """The given digits as somebody tells them; the corners may have names of their own."""
    between = rng.choice((", ", ", ", "; ", " and "))
    if rng.random() < 0.4:
        return between.join(_placed(grid, rng, _CLAUSES))
    verb = rng.choice(("is", "is", "has", "holds", "shows"))
    rows = rng.choice((_ORDINALS, ("top", "second", "third", "bottom")))
    digits = number_in_words if rng.random() < 0.4 else str
    place = rng.choice(
        ("the {row} row's {column} cell", "row {n} column {m}", "{row} row {column}")
    )
    texts = [
        f"{name or place.format(row=rows[row], column=_ORDINALS[column], n=row + 1, m=column + 1)}"
        f" {verb} {digits(digit)}"
        for name, row, column, digit in _named(grid)
    ]
    return between.join(texts)


def _named(grid: Sequence[int]) -> Iterator[tuple[str, int, int, int]]:
    """Name if it is a corner, row and column from 0, and digit, of each given cell."""
    for cell, digit in enumerate(grid):
        if digit:
            yield _CORNERS.get(cell, ""), *divmod(cell, 4), digit


def _placed(grid: Sequence[int], rng: random.Random, places: Sequence[str]) -> list[str]:
    """The given digits by their places in one style, sometimes in another order."""
    place = rng.choice(places)
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
