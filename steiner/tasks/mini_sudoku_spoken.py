"""A 4 by 4 grid in words: rows as somebody reads them out, and given cells by their places.

grid, grammar, random stream -> text without a mark at its end

The words are in [words] of steiner/tasks/questions/<language>/mini_sudoku.toml.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from steiner.tasks.mini_sudoku_grids import rows_of
from steiner.tasks.question_grammar import QuestionGrammar

_CORNERS = (0, 3, 12, 15)
"""The cells with names of their own."""


def grid_spoken(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """The rows one after the other, as somebody reads them out."""
    if rng.random() < 0.2:
        between = rng.choice(grammar.words["row_breaks"])
        return str(between).join(_spoken_cells(grid, grammar, rng))
    between = rng.choice(grammar.words["row_joins"])
    return str(between).join(spoken_rows(grid, grammar, rng))


def spoken_rows(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> list[str]:
    """Each row with its name: `first row one, blank, blank, four`."""
    words, numbers = grammar.words, grammar.numbers.singulars
    label, names = rng.choice(words["spoken_labels"]), rng.choice(words["spoken_rows"])
    return [
        label.format(name=names[n], n=n + 1, word=numbers[n + 1], letter="ABCD"[n]) + cells
        for n, cells in enumerate(_spoken_cells(grid, grammar, rng))
    ]


def _spoken_cells(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> list[str]:
    """Each row's cells: `one, blank, blank, four`, or `one, two blanks, four`."""
    words, numbers = grammar.words, grammar.numbers.singulars
    blank, in_words = rng.choice(words["spoken_blanks"]), rng.random() < 0.6
    between = rng.choice((", ", ", ", " "))
    empty_row = rng.choice(words["empty_rows"]) if between == ", " else " ".join([blank] * 4)
    counted = words["counted_blanks"]
    counts_blanks = between == ", " and blank in counted and rng.random() < 0.25
    rows = []
    for row in rows_of(grid):
        texts = [(numbers[cell] if in_words else str(cell)) if cell else blank for cell in row]
        cells = between.join(texts) if any(row) else empty_row.format(blank=blank)
        if counts_blanks and any(row):
            for number in (3, 2):
                run = between.join([blank] * number)
                cells = cells.replace(run, f"{numbers[number]} {counted[blank]}")
        rows.append(cells)
    return rows


def cells_by_place(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """The given digits by their places on one line; the other cells are empty."""
    end = rng.choice(grammar.words["rest_is_empty"])
    between = rng.choice((", ", ", ", "; ", " "))
    return between.join(_placed(grid, grammar, rng, "short_places")) + str(end)


def cell_list(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """The given digits by their places, one on each line."""
    mark = rng.choice(("", "", "- ", "* "))
    texts = _placed(grid, grammar, rng, "short_places", "clause_places", "line_places")
    return "\n".join(mark + text for text in texts)


def cells_in_words(grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random) -> str:
    """The given digits as somebody tells them; the corners may have names of their own."""
    words, numbers = grammar.words, grammar.numbers.singulars
    between = str(rng.choice(words["cell_joins"]))
    if rng.random() < 0.4:
        return between.join(_placed(grid, grammar, rng, "clause_places"))
    clause, rows = rng.choice(words["cell_clauses"]), rng.choice(words["cell_rows"])
    in_words = rng.random() < 0.4
    place = rng.choice(words["cell_places"])
    texts = []
    for cell, row, column, digit in _given(grid):
        names = {"row": rows[row], "column": words["ordinals"][column]}
        corner = words["corners"][_CORNERS.index(cell)] if cell in _CORNERS else ""
        where = corner or place.format(**names, n=row + 1, m=column + 1)
        texts.append(clause.format(place=where, digit=numbers[digit] if in_words else digit))
    return between.join(texts)


def _given(grid: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
    """Cell, row and column from 0, and digit, of each given cell."""
    for cell, digit in enumerate(grid):
        if digit:
            yield cell, *divmod(cell, 4), digit


def _placed(
    grid: Sequence[int], grammar: QuestionGrammar, rng: random.Random, *lists: str
) -> list[str]:
    """The given digits by their places in one style of these lists of [words], sometimes in
    another order."""
    place = rng.choice([place for name in lists for place in grammar.words[name]])
    ordinals = grammar.words["ordinals"]
    texts = [
        place.format(
            letter="abcd"[row],
            row=row + 1,
            column=column + 1,
            row_name=ordinals[row],
            column_name=ordinals[column],
            digit=digit,
        )
        for _, row, column, digit in _given(grid)
    ]
    if rng.random() < 0.15:
        rng.shuffle(texts)
    return texts
