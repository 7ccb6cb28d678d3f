"""Layouts of a 4 by 4 grid on one line as people type them: strings, rows, lists, cells.

grid, grammar, random stream -> text

Names in programs are the same in all languages.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

from steiner.tasks.mini_sudoku_layouts import Layout, list_cells, marked_cells, row_labels
from steiner.tasks.mini_sudoku_spoken import cells_by_place
from steiner.tasks.question_grammar import QuestionGrammar


def grid_line(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """The grid on one line."""
    return rng.choice(LINES)(grid, grammar, rng)


def _one_string(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    text = "".join(map("".join, marked_cells(grid, grammar, rng, words=0)))
    return rng.choice(("{}", "{}", "{}", "'{}'", '"{}"', "`{}`", "[{}]")).format(text)


def _one_sequence(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """The 16 cells with the same mark between all of them."""
    rows, between = (
        marked_cells(grid, grammar, rng),
        rng.choice((",", ", ", " ", " ", ";", "|", " | ", " , ")),
    )
    text = between.join(between.join(row) for row in rows)
    return rng.choice(("{}", "{}", "[{}]", "({})")).format(text)


def _spaced_rows(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    between = rng.choice(
        (" / ", " / ", " | ", "; ", ", ", "/", " // ", " \\ ", " -> ", " & ", "   ")
    )
    rows = marked_cells(grid, grammar, rng, avoid="-" if ">" in between else "")
    return between.join(" ".join(row) for row in rows)


def _packed_rows(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    betweens = (
        "/",
        "/",
        "|",
        " ",
        " ",
        ", ",
        ",",
        "-",
        " / ",
        " - ",
        "; ",
        ":",
        "\\n",
        "\\",
        "+",
    )
    between = rng.choice(betweens)
    return between.join(
        "".join(row) for row in marked_cells(grid, grammar, rng, avoid=between.strip(), words=0)
    )


def _comma_rows(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    between = rng.choice((";", " ; ", " / ", " | ", "/", "|", " - "))
    rows = marked_cells(grid, grammar, rng, avoid="-")
    inside = rng.choice((",", ",", ", "))
    return between.join(inside.join(row) for row in rows)


def _group_rows(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    left, right = rng.choice(("[]", "[]", "()", "()", "{}", "<>"))
    inside = rng.choice((" ", " ", ",", ", ", ""))
    between = str(rng.choice(grammar.words["bracket_joins"]))
    rows = marked_cells(grid, grammar, rng, words=0.12 if inside else 0)
    return between.join(f"{left}{inside.join(row)}{right}" for row in rows)


def _json_rows(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    between = rng.choice((",", ", ", ", "))
    left, right = rng.choice((("[", "]"), ("[", "]"), ("[", "]"), ("(", ")"), ("{", "}")))
    rows = [f"{left}{between.join(row)}{right}" for row in list_cells(grid, rng)]
    text = f"{left}{between.join(rows)}{right}"
    return rng.choice(("{}", "{}", "{}", "np.array({})", "grid={}", "board = {}")).format(text)


def _json_strings(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    rows = ["".join(row) for row in marked_cells(grid, grammar, rng, words=0)]
    if rng.random() < 0.4:
        return rng.choice((", ", " ", " + ")).join(f'"{row}"' for row in rows)
    return json.dumps(rows, ensure_ascii=False)


def _json_named(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """An object with a list for each row."""
    names = rng.choice((("r1", "r2", "r3", "r4"), ("row1", "row2", "row3", "row4"), "ABCD", "1234"))
    rows = [f"[{', '.join(row)}]" for row in list_cells(grid, rng)]
    pairs = (f'"{name}": {row}' for name, row in zip(names, rows, strict=True))
    return f"{{{', '.join(pairs)}}}"


def _matrix(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    inside = rng.choice((" ", " ", ","))
    rows = [inside.join(row) for row in marked_cells(grid, grammar, rng, words=0)]
    return f"[{rng.choice(('; ', ';')).join(rows)}]"


def _labelled_rows(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    between, inside = rng.choice((" / ", "; ", " | ", ", ", ". ", " ")), rng.choice((" ", " ", ""))
    heads = row_labels(grammar, rng)
    rows = marked_cells(grid, grammar, rng, avoid=heads[0] + between, words=0.15 if inside else 0)
    return between.join(head + inside.join(row) for head, row in zip(heads, rows, strict=True))


def _box_rows(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """A bar inside each row, between its boxes: `1 _|3 4 / ...`."""
    rows, inside = marked_cells(grid, grammar, rng, words=0), rng.choice((" ", ""))
    bar, between = rng.choice((("|", " / "), (" | ", " // "), ("|", "; "), (":", " "), ("|", ", ")))
    return between.join(f"{inside.join(row[:2])}{bar}{inside.join(row[2:])}" for row in rows)


LINES: tuple[Layout, ...] = (
    *(_one_string, _one_string, _one_sequence, _spaced_rows, _spaced_rows, _spaced_rows),
    *(_packed_rows, _packed_rows, _comma_rows, _group_rows, _group_rows, _json_rows, _json_rows),
    *(_json_strings, _json_named, _matrix, _labelled_rows, _labelled_rows, _box_rows),
    *(cells_by_place, cells_by_place),
)
"""Layouts on one line, the usual ones several times."""
