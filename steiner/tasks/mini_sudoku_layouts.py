"""Layouts of a 4 by 4 grid on several lines as people type them: rows, drawn boxes, tables, lists.

grid, grammar, random stream -> text

The words are in [words] of steiner/tasks/questions/<language>/mini_sudoku.toml; names in programs
are the same in all languages.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from steiner.tasks.mini_sudoku_grids import rows_of
from steiner.tasks.mini_sudoku_spoken import cell_list, spoken_rows
from steiner.tasks.question_grammar import QuestionGrammar

Layout = Callable[[Sequence[int], QuestionGrammar, random.Random], str]

_MARKS = (
    *("_", "_", "_", ".", ".", ".", "0", "0", "0", "?", "?", "x", "x", "-", "*", "#", "X"),
    *("e", "o", "b", "~", "\u00b7", "\u2022", "\u25a1", "\u2610", "\u2b1c"),
)
"""Blanks of one character; longer ones need something between two cells."""


def grid_block(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """The grid on several lines."""
    return rng.choice(BLOCKS)(grid, grammar, rng)


def marked_cells(
    grid: Sequence[int],
    grammar: QuestionGrammar,
    rng: random.Random,
    avoid: str = "",
    words: float = 0.12,
) -> list[list[str]]:
    """The rows with a random blank, which has other characters than `avoid`.

    It has several characters with the chance `words`.
    """
    blanks = grammar.words["long_blanks"] if rng.random() < words else _MARKS
    return with_blank(grid, rng.choice([b for b in blanks if not set(b) <= set(avoid)]))


def with_blank(grid: Sequence[int], blank: str) -> list[list[str]]:
    """The rows with `blank` in each empty cell."""
    return [[str(cell) if cell else blank for cell in row] for row in rows_of(grid)]


def _open_or_marked(
    grid: Sequence[int],
    grammar: QuestionGrammar,
    rng: random.Random,
    share: float,
    avoid: str = "",
    words: float = 0.12,
) -> list[list[str]]:
    """The rows with spaces as blanks, with the chance `share`, or with another blank."""
    if rng.random() < share:
        return with_blank(grid, " ")
    return marked_cells(grid, grammar, rng, avoid, words)


def _plain(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    between = rng.choice((" ", " ", " ", "  ", "   ", " | ", "|", ",", ", ", "\t", ";", " ; "))
    return _lines(marked_cells(grid, grammar, rng), between)


def _packed(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    return _lines(marked_cells(grid, grammar, rng, words=0), "")


def _open_columns(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """A bar between the boxes, with or without a line: `1 _ | 3 4`."""
    rows = marked_cells(grid, grammar, rng, avoid="-")
    bar = rng.choice((" | ", " | ", " || ", "|", "  "))
    drawn = [f"{row[0]} {row[1]}{bar}{row[2]} {row[3]}" for row in rows]
    line = rng.choice(("----+----", "---------", "-----", "- - + - -", "====+====", "", "---"))
    return "\n".join([*drawn[:2], line, *drawn[2:]])


def _halves(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """Boxes apart by an empty line and a wider space."""
    packed, between = rng.random() < 0.4, rng.choice(("  ", "   ", " "))
    rows, inside = marked_cells(grid, grammar, rng, words=0), "" if packed else " "
    drawn = [f"{inside.join(row[:2])}{between}{inside.join(row[2:])}" for row in rows]
    return "\n".join([*drawn[:2], "", *drawn[2:]])


def _barred(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """Each cell between bars, some of them with spaces as blanks."""
    rows = _open_or_marked(grid, grammar, rng, 0.4, avoid="-")
    pad = rng.choice((" ", " ", ""))
    drawn = [f"|{pad}{f'{pad}|{pad}'.join(row)}{pad}|" for row in rows]
    line = rng.choice(("", "", "+---+---+---+---+", "-----------------", "|---|---|---|---|"))
    return "\n".join([line, *(f"{row}\n{line}" for row in drawn)]) if line else "\n".join(drawn)


def _markdown(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """A table with a head of letters or names of columns, some with names of rows."""
    rows = _open_or_marked(grid, grammar, rng, 0.3, avoid="-b")
    head, names = rng.choice(grammar.words["column_heads"]), rng.choice(grammar.words["row_heads"])
    if names:
        head, rows = ["", *head], [[name, *row] for name, row in zip(names, rows, strict=True)]
    line = "|" + rng.choice(("---|", " --- |", ":-:|")) * len(head)
    drawn = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([drawn[0], line, *drawn[1:]])


def _boxed(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    rows, wide = marked_cells(grid, grammar, rng, avoid="-", words=0), rng.random() < 0.5
    lines = ("+-----+-----+", "-------------", "+---+---+") if wide else ("+----+----+", "+--+--+")
    inside, line = " " if wide else "", rng.choice(lines)
    drawn = [f"| {inside.join(row[:2])} | {inside.join(row[2:])} |" for row in rows]
    return "\n".join([line, *drawn[:2], line, *drawn[2:], line])


def _drawn(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """A box of line characters around the four boxes, or double bars between them."""
    if rng.random() < 0.5:
        rows = _open_or_marked(grid, grammar, rng, 0.4, words=0)
        return "\n".join(f"║ {' │ '.join(row[:2])} ║ {' │ '.join(row[2:])} ║" for row in rows)
    rows, line = marked_cells(grid, grammar, rng, words=0), "─" * 5
    drawn = [f"│ {row[0]} {row[1]} │ {row[2]} {row[3]} │" for row in rows]
    top, middle, low = (f"{a}{line}{b}{line}{c}" for a, b, c in ("┌┬┐", "├┼┤", "└┴┘"))
    return "\n".join([top, *drawn[:2], middle, *drawn[2:], low])


def _labelled(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    between, heads = rng.choice((" ", " ", " ", ", ", "", " | ")), row_labels(grammar, rng)
    rows = marked_cells(grid, grammar, rng, avoid=heads[0], words=0.2 if between else 0)
    return "\n".join(head + between.join(row) for head, row in zip(heads, rows, strict=True))


def row_labels(grammar: QuestionGrammar, rng: random.Random) -> list[str]:
    """The names of the four rows in one style, with the mark after them."""
    words, numbers = grammar.words, grammar.numbers.singulars
    label, places = rng.choice(words["row_labels"]), rng.choice(words["row_places"])
    return [
        label.format(n=n, letter=letter, ordinal=ordinal, word=numbers[n], place=place)
        for n, (letter, ordinal, place) in enumerate(
            zip("ABCD", words["ordinals"], places, strict=True), 1
        )
    ]


def _headed(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """Letters over the columns and numbers or letters before the rows."""
    rows = marked_cells(grid, grammar, rng, avoid="b", words=0)
    head, names = rng.choice((("a b c d", "1234"), ("A B C D", "1234"), ("1 2 3 4", "ABCD")))
    bar = rng.choice((" ", "  ", " | "))
    lines = [f"{name}{bar}{' '.join(row)}" for name, row in zip(names, rows, strict=True)]
    return "\n".join([" " * (1 + len(bar)) + head, *lines])


def _bracketed(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    between = rng.choice((" ", ", ", "", ","))
    left, right = rng.choice(("[]", "[]", "()", "{}", "<>"))
    rows = marked_cells(grid, grammar, rng, words=0.1 if between else 0)
    return "\n".join(f"{left}{between.join(row)}{right}" for row in rows)


def _bulleted(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    mark, between = rng.choice(("- ", "* ", "\u2022 ", "> ", "+ ")), rng.choice((" ", ", ", " | "))
    return "\n".join(
        mark + between.join(row) for row in marked_cells(grid, grammar, rng, avoid="-*\u2022")
    )


def _quoted(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    quote, end, between = rng.choice("\"'`"), rng.choice(("", ",")), rng.choice(("", "", " "))
    rows = marked_cells(grid, grammar, rng, words=0)
    return "\n".join(f"{quote}{between.join(row)}{quote}{end}" for row in rows)


def _program(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """A list of lists on several lines."""
    name = rng.choice(("", "", "grid = ", "board = ", "puzzle = ", "grid: ", "int g[4][4] = "))
    left, right = ("{", "}") if name.startswith("int") else ("[", "]")
    rows = [f"{left}{', '.join(row)}{right}" for row in list_cells(grid, rng)]
    inner = ",\n ".join(rows) if rng.random() < 0.5 else "\n  " + ",\n  ".join(rows) + "\n"
    return f"{name}{left}{inner}{right}"


def list_cells(grid: Sequence[int], rng: random.Random) -> list[list[str]]:
    """The rows as entries of a list in a program."""
    blank = rng.choice(("0", "0", "0", "None", "null", '""', '"_"', "'.'", "' '", '"x"'))
    return with_blank(grid, blank)


def _listed(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """Rows as entries of YAML or the columns of LaTeX."""
    rows = marked_cells(grid, grammar, rng, avoid="-*", words=0)
    if rng.random() < 0.5:
        return "\n".join(f"- [{', '.join(row)}]" for row in rows)
    return " \\\\\n".join(" & ".join(row) for row in rows)


def _empty_fields(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """Lines of a table file, in which nothing at all stands for a blank."""
    return _lines(with_blank(grid, ""), rng.choice((",", ",", ";", "|")))


def _html(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    rows = with_blank(grid, rng.choice(("", "", "?", "_")))
    return "\n".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)


def _spoken_block(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    return "\n".join(spoken_rows(grid, grammar, rng))


def _lines(rows: Sequence[Sequence[str]], between: str) -> str:
    return "\n".join(between.join(row) for row in rows)


BLOCKS: tuple[Layout, ...] = (
    *(_plain, _plain, _plain, _plain, _plain, _packed, _packed, _open_columns, _open_columns),
    *(_halves, _barred, _barred, _markdown, _boxed, _boxed, _drawn, _labelled, _labelled),
    *(_labelled, _headed, _bracketed, _bulleted, _quoted, _program, _listed, _empty_fields),
    *(_html, _spoken_block, cell_list),
)
"""Layouts on several lines, the usual ones several times."""
