"""Mini sudoku: fill a 4 by 4 grid so that no row, column or box repeats a digit from 1 to 4.

A state is the 16 cells by rows, 0 where empty. In texts, rows have letters, so that a text can name
one. A move fills one whole row with its missing digits in some order: a row with at most two empty
cells or, if there is none, any row. Twin of reasoning-gym's `mini_sudoku`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from functools import lru_cache

from steiner.tasks.canonical import canonical_grid
from steiner.tasks.givens import has_digits
from steiner.tasks.mini_sudoku_grids import (
    BOXES,
    COLUMNS,
    GridRow,
    fillings,
    find_clash,
    full_grids,
    num_solutions,
    remove_digits,
    rows_of,
)
from steiner.tasks.mini_sudoku_layouts import grid_block
from steiner.tasks.mini_sudoku_lines import grid_line
from steiner.tasks.mini_sudoku_spoken import cells_in_words, grid_spoken
from steiner.tasks.no_answer import (
    NoAnswer,
    grade_no_answer,
    has_search,
    no_answer,
    reading_step,
    reading_without_search,
)
from steiner.tasks.phrases import Phrases, load_phrases, phrases_of
from steiner.tasks.protocols import Grade, Move, StepReading, Task, WordedQuestion, grade_of
from steiner.tasks.question_grammar import Field, load_grammar
from steiner.tasks.typing_habits import Verbatim
from steiner.types import Action, Problem, Spec, Split, State, StepTexts, Verdict

LEVELS = {1: (5, 7), 2: (7, 9), 3: (8, 10), 4: (9, 12)}
"""Level -> fewest and most empty cells."""

_FEW = 2
"""A row with at most this many empty cells is filled before others."""


class MiniSudoku:
    """Grids with exactly one solution."""

    name = "mini_sudoku"
    levels = range(1, 5)

    def generate(self, rng: random.Random, level: int) -> Spec:
        num_empty = rng.randint(*LEVELS[level])
        while True:
            grid = remove_digits(rng, rng.choice(full_grids()), num_empty)
            if grid.count(0) == num_empty:
                return {"grid": grid}

    def canonical_text(self, spec: Spec) -> str:
        return "".join(map(str, canonical_grid(tuple(spec["grid"]))))

    def start(self, spec: Spec) -> State:
        return tuple(spec["grid"])

    def moves(self, spec: Spec, state: State) -> Sequence[Move]:
        return _moves(state)

    def verdict(self, spec: Spec, state: State) -> Verdict:
        if find_clash(state) is not None:
            return Verdict.DEAD
        return Verdict.OPEN if 0 in state else Verdict.GOAL

    def step_texts(self, problem: Problem, depth: int, before: State, move: Move) -> StepTexts:
        phrases = phrases_of(problem)
        _, row, *digits = move.action
        old, letter = rows_of(before)[row - 1], _letter(phrases, row)
        fields = {"rows": render_grid(phrases, before), "row": letter, "cells": render_row(old)}
        return StepTexts(
            phrases.render("next_step", depth=depth, **fields, digits=render_row(digits)),
            _render_lacking(phrases, row, old),
            phrases.render("summary", rows=render_grid(phrases, move.state)),
            verification(phrases, move.state),
        )

    def read_step(self, problem: Problem, texts: StepTexts) -> StepReading:
        phrases = phrases_of(problem)
        depth, before, action, old = _read_next_step(phrases, texts.next_step)
        after = _read_summary(phrases, texts.summary)
        verdict, sound = _read_verification(phrases, texts.verification, after)
        if action and before:
            row = rows_of(before)[action[1] - 1]
            lacking = _render_lacking(phrases, action[1], row)
            sound = sound and old == row and texts.understanding.strip() == lacking
        return StepReading(depth, action, before, after, verdict, sound)

    def question(
        self, spec: Spec, language: str, rng: random.Random, split: Split
    ) -> WordedQuestion:
        grammar = load_grammar(self.name, language)
        if missing := spec.get("missing", ""):
            return WordedQuestion(grammar.missing(rng, split, missing, {}), "missing")
        grid = spec["grid"]
        fields: dict[str, Field] = {
            "grid": lambda rng: Verbatim(grid_block(grid, grammar, rng)),
            "grid_inline": lambda rng: Verbatim(grid_line(grid, grammar, rng)),
            "spoken": lambda rng: grid_spoken(grid, grammar, rng),
            "cells": lambda rng: cells_in_words(grid, grammar, rng),
        }
        voice, text = grammar.question(rng, split, fields)
        return WordedQuestion(text, voice)

    def unanswerable(self, rng: random.Random, level: int) -> Spec:
        """A grid that contradicts itself, or no grid at all."""
        if rng.random() < 0.2:
            missing = {"no_answer": NoAnswer.MISSING.value, "missing": "grid"}
            return {**missing, "seed": rng.getrandbits(31)}
        while True:
            grid = list(self.generate(rng, level)["grid"])
            given = [cell for cell in range(16) if grid[cell]]
            for cell in rng.sample(given, 2):
                grid[cell] = rng.choice([digit for digit in range(1, 5) if digit != grid[cell]])
            if num_solutions(grid) == 0 and (find_clash(tuple(grid)) or rng.random() < 0.3):
                return {"grid": grid, "no_answer": NoAnswer.NO_SOLUTION.value}

    def follow_up(
        self, spec: Spec, language: str, rng: random.Random, split: Split
    ) -> tuple[Spec, str] | None:
        """One more cell is given, or one given cell changes."""
        grammar, grid = load_grammar(self.name, language), list(spec["grid"])
        cell = rng.choice([cell for cell in range(16) if grid[cell]])
        digit = grid[cell]
        grid[cell] = rng.choice((0, *(other for other in range(1, 5) if other != digit)))
        if num_solutions(grid) != 1:
            return None
        row, column = divmod(cell, 4)
        ordinals = grammar.words["ordinals"]
        fields: dict[str, Field] = {
            "row": str(row + 1),
            "column": str(column + 1),
            "row_ordinal": ordinals[row],
            "column_ordinal": ordinals[column],
            "digit": str(digit),
        }
        return {**spec, "grid": grid}, grammar.follow_up(rng, split, "new_clue", fields)

    def reading(self, problem: Problem) -> StepTexts:
        spec, phrases = problem.spec, phrases_of(problem)
        if not has_search(spec):
            restated = phrases.render("reading", rows=phrases.words["unknown"])
            return reading_without_search(spec, problem.language, restated)
        rows, state = render_grid(phrases, spec["grid"]), self.start(spec)
        restated = phrases.render("reading", rows=rows)
        summary = phrases.render("summary", rows=rows)
        return reading_step(problem.language, restated, summary, verification(phrases, state))

    def read_question(self, understanding: str, language: str) -> Spec | None:
        phrases = load_phrases(self.name, language)
        found = phrases.match(understanding, "reading")
        if found is None:
            return None
        if found[1]["rows"] == phrases.words["unknown"]:
            return {"no_answer": NoAnswer.MISSING.value, "missing": "grid"}
        grid = _read_labelled(phrases, found[1]["rows"])
        if grid is None:
            return None
        spec = {"grid": list(grid)}
        return spec if num_solutions(grid) else {**spec, "no_answer": NoAnswer.NO_SOLUTION.value}

    def is_stated(self, spec: Spec, text: str, language: str) -> bool:
        return has_digits(text, filter(None, spec["grid"]), language)

    def answer(self, problem: Problem, branch: Sequence[tuple[State, Move]]) -> str:
        phrases = phrases_of(problem)
        return render_grid(phrases, branch[-1][1].state)

    def grade(self, problem: Problem, answer: str) -> Grade:
        if no_answer(problem.spec):
            return grade_no_answer(problem, answer)
        return grade_of(self._is_right(problem, answer))

    def _is_right(self, problem: Problem, answer: str) -> bool | None:
        """True if `answer` is the full grid; None if it is not a grid."""
        spec, phrases = problem.spec, phrases_of(problem)
        grid = read_grid(phrases, answer.strip().replace("\n", " / "))
        if grid is None:
            return None
        if grid not in full_grids():
            return False
        return all(given in (0, cell) for given, cell in zip(spec["grid"], grid, strict=True))


def verification(phrases: Phrases, grid: State) -> str:
    """The columns and boxes of `grid` one by one, up to the first that contains a digit twice.

    Only a question can have a row with a digit twice; then nothing else is said.
    """
    clash = find_clash(grid)
    if clash and clash[0] == "row":
        return phrases.render("row", row=_letter(phrases, clash[1]), digit=clash[2])
    unit, number, digit = clash or ("", 4, 0)
    columns = COLUMNS[:number] if unit == "column" else COLUMNS
    boxes = BOXES[:number] if unit == "box" else BOXES
    fields = {
        "columns": " | ".join(render_row(cells(grid)) for _, _, cells in columns),
        "boxes": " | ".join(render_row(cells(grid)) for _, _, cells in boxes),
    }
    if clash:
        return phrases.render(unit, **fields, digit=digit)
    name = "open" if 0 in grid else "goal"
    return phrases.render(name, **fields, open_rows=_open_rows(phrases, grid))


@lru_cache(1 << 14)
def _moves(state: State) -> tuple[Move, ...]:
    if 0 not in state or find_clash(state) is not None:
        return ()
    rows = rows_of(state)
    open_rows = [i for i in range(4) if 0 in rows[i]]
    nearly_full = [i for i in open_rows if rows[i].count(0) <= _FEW]
    return tuple(
        Move(("row", i + 1, *filled), (*state[: 4 * i], *filled, *state[4 * i + 4 :]))
        for i in nearly_full or open_rows
        for filled in fillings(rows[i])
    )


def _letter(phrases: Phrases, number: int) -> str:
    """The letter of row `number`, from 1."""
    return str(phrases.words["rows"][number - 1])


def _open_rows(phrases: Phrases, state: State) -> str:
    """The letters of the rows with empty cells: `A C D`."""
    return " ".join(_letter(phrases, n) for n, row in enumerate(rows_of(state), 1) if 0 in row)


def render_row(row: Sequence[int]) -> str:
    """`1 _ 3 4`."""
    return " ".join(str(cell or "_") for cell in row)


def render_grid(phrases: Phrases, grid: Sequence[int]) -> str:
    """`A 1 _ 3 4 / B ...`."""
    rows = enumerate(rows_of(grid), 1)
    return " / ".join(f"{_letter(phrases, number)} {render_row(row)}" for number, row in rows)


def _unlabelled(phrases: Phrases, text: str) -> str:
    """The text of a grid without its row letters; unchanged if a row has none."""
    letters = phrases.words["rows"]
    found = re.fullmatch(
        "".join(rf"{letter} +([^A-Za-z]*)" for letter in letters), text, re.IGNORECASE
    )
    return "".join(found.groups()) if found else text


def read_grid(phrases: Phrases, text: str) -> State | None:
    """The 16 cells of a grid with or without row letters; None if `text` is not a grid."""
    return _read_grid(_unlabelled(phrases, text))


def _read_row(text: str) -> GridRow | None:
    if not re.fullmatch(r"[1-4_]( [1-4_]){3}", text):
        return None
    return tuple(0 if cell == "_" else int(cell) for cell in text.split())


def _read_grid(text: str) -> State | None:
    rows = [_read_row(row) for row in text.split(" / ")]
    if len(rows) != 4 or None in rows:
        return None
    return tuple(cell for row in rows if row for cell in row)


def _render_lacking(phrases: Phrases, number: int, row: GridRow) -> str:
    missing = " ".join(str(digit) for digit in range(1, 5) if digit not in row)
    return phrases.render("understanding", row=_letter(phrases, number), missing=missing)


def _read_next_step(
    phrases: Phrases, text: str
) -> tuple[int | None, State | None, Action | None, GridRow | None]:
    """Depth, the grid before, action, and the row before."""
    found = phrases.match(text, "next_step")
    if found is None or not re.fullmatch(r"\d{1,4}", found[1]["depth"]):
        return None, None, None, None
    fields = found[1]
    depth, before = int(fields["depth"]), _read_labelled(phrases, fields["rows"])
    letter, digits = fields["row"], _read_row(fields["digits"])
    if digits is None or letter not in phrases.words["rows"]:
        return depth, before, None, None
    number = phrases.words["rows"].index(letter) + 1
    return depth, before, ("row", number, *digits), _read_row(fields["cells"])


def _read_labelled(phrases: Phrases, text: str) -> State | None:
    """A grid written exactly as `render_grid` writes it."""
    grid = _read_grid(_unlabelled(phrases, text))
    return grid if grid and render_grid(phrases, grid) == text else None


def _read_summary(phrases: Phrases, text: str) -> State | None:
    found = phrases.match(text, "summary")
    return _read_labelled(phrases, found[1]["rows"]) if found else None


def _read_verification(
    phrases: Phrases, text: str, after: State | None
) -> tuple[Verdict | None, bool]:
    found = phrases.match(text, "open", "goal", "box", "column", "row")
    if found is None or after is None:
        return None, False
    verdict = {"open": Verdict.OPEN, "goal": Verdict.GOAL}.get(found[0], Verdict.DEAD)
    return verdict, text.strip() == verification(phrases, after)


TASK = Task.of_family(MiniSudoku())
