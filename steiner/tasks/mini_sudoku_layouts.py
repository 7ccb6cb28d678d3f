"""Layouts of a 4 by 4 grid as people type them: lines, drawn boxes, JSON, one line, spoken rows.

grid, random stream -> text
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

from steiner.tasks.mini_sudoku_grids import rows_of
from steiner.tasks.typing_habits import number_in_words

_BLANKS = ("_", "_", ".", ".", "0", "0", "?", "x", "-", "*", "#", "X", "e", "\u00b7", "\u25a1")
_SPOKEN_BLANKS = ("empty", "blank", "empty", "gap", "nothing", "blank", "space", "missing")
_ROW_NAMES = ("first", "second", "third", "fourth")
_PLACED_ROWS = ("top", "next", "then the third", "bottom")


def grid_block(grid: Sequence[int], rng: random.Random) -> str:
    """The grid on several lines."""
    rows = _cells(grid, rng.choice(_BLANKS))
    match rng.randrange(10):
        case 0 | 1 | 2:
            return _lines(rows, rng.choice((" ", " ", " ", "", "  ", " | ", ",", ", ", "\t")))
        case 3:
            return "\n".join(f"| {' | '.join(row)} |" for row in rows)
        case 4:
            return _boxed(rows, rng.choice(("+-----+-----+", "-------------", "+---+---+")))
        case 5:
            line = "+---+---+---+---+"
            drawn = [f"| {' | '.join(row)} |" for row in rows]
            return "\n".join([line, *(f"{row}\n{line}" for row in drawn)])
        case 6:
            upper, lower = _lines(rows[:2], " "), _lines(rows[2:], " ")
            halves = [part.replace("\n", "\n") for part in (upper, lower)]
            return rng.choice(("\n\n", "\n------\n", "\n")).join(halves)
        case 7:
            line = rng.choice(("+----+----+", "+--+--+"))
            drawn = [f"| {row[0]}{row[1]} | {row[2]}{row[3]} |" for row in rows]
            return "\n".join([line, *drawn[:2], line, *drawn[2:], line])
        case 8:
            between = rng.choice((" ", ", ", ""))
            return "\n".join(f"[{between.join(row)}]" for row in rows)
        case _:
            mark = rng.choice(("row {n}: ", "{n}) ", "R{n} ", "{n}: ", "{letter} ", "{letter}: "))
            labels = (mark.format(n=n, letter="ABCD"[n - 1]) for n in range(1, 5))
            return "\n".join(head + " ".join(row) for head, row in zip(labels, rows, strict=True))


def grid_line(grid: Sequence[int], rng: random.Random) -> str:
    """The grid on one line."""
    blank = rng.choice(_BLANKS)
    rows = _cells(grid, blank)
    match rng.randrange(10):
        case 0:
            return "".join("".join(row) for row in rows)
        case 1:
            between = rng.choice((" / ", " | ", "; ", ", ", "/", " // "))
            return between.join(" ".join(row) for row in rows)
        case 2:
            between = rng.choice(("/", "|", " ", ", ", "-" if blank != "-" else "/", " / "))
            return between.join("".join(row) for row in rows)
        case 3:
            return json.dumps(rows_of(grid), separators=rng.choice(((",", ":"), (", ", ": "))))
        case 4:
            return json.dumps(["".join(row) for row in rows])
        case 5:
            cells = [str(cell) for cell in grid]
            return rng.choice(("[{}]", "{}")).format(rng.choice((",", ", ", " ")).join(cells))
        case 6:
            return " ".join(f"[{' '.join(row)}]" for row in rows)
        case 7:
            return _given_cells(grid, rng)
        case 8:
            return rng.choice((";", " ; ", " / ")).join(",".join(row) for row in rows)
        case _:
            between = rng.choice((" / ", "; ", " | "))
            return between.join(f"{'ABCD'[n]} {' '.join(row)}" for n, row in enumerate(rows))


def _given_cells(grid: Sequence[int], rng: random.Random) -> str:
    """The given digits by their places; the other cells are empty."""
    head, place = rng.choice(_PLACES)
    given = [
        place.format(letter="abcd"[cell // 4], row=cell // 4 + 1, column=cell % 4 + 1, digit=digit)
        for cell, digit in enumerate(grid)
        if digit
    ]
    return head + ", ".join(given)


_PLACES = (
    ("given cells: ", "{letter}{column}={digit}"),
    ("", "r{row}c{column}={digit}"),
    ("", "({row},{column})={digit}"),
    ("4x4, only these are known: ", "row {row} column {column} is {digit}"),
)


def grid_spoken(grid: Sequence[int], rng: random.Random) -> str:
    """The rows one after the other, as somebody reads them out."""
    blank, in_words = rng.choice(_SPOKEN_BLANKS), rng.random() < 0.6
    head = rng.choice(("{name} row: ", "{name} row ", "row {n}: ", "row {word}: ", "{name}: "))
    between, cells = rng.choice((". ", ", then ", "; ", ". ")), rng.choice((", ", ", ", " "))
    spoken_rows = []
    names = rng.choice((_ROW_NAMES, _ROW_NAMES, _PLACED_ROWS))
    for number, row in enumerate(rows_of(grid), 1):
        name, word = names[number - 1], number_in_words(number)
        spoken = ((number_in_words(c) if in_words else str(c)) if c else blank for c in row)
        spoken_rows.append(head.format(name=name, n=number, word=word) + cells.join(spoken))
    return between.join(spoken_rows)


def _cells(grid: Sequence[int], blank: str) -> list[list[str]]:
    return [[str(cell) if cell else blank for cell in row] for row in rows_of(grid)]


def _lines(rows: Sequence[Sequence[str]], between: str) -> str:
    return "\n".join(between.join(row) for row in rows)


def _boxed(rows: Sequence[Sequence[str]], line: str) -> str:
    drawn = [f"| {row[0]} {row[1]} | {row[2]} {row[3]} |" for row in rows]
    return "\n".join([line, *drawn[:2], line, *drawn[2:], line])
