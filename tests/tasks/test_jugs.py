"""Jugs: legal moves, simulated answers, false facts, and problems without a solution."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steiner.tasks.givens import has_numbers
from steiner.tasks.jugs_wording import question_fields
from steiner.tasks.question_grammar import load_grammar
from steiner.types import StepTexts, Verdict
from tests.jug_rules import poured
from tests.puzzles import is_right, problem_of, puzzle

JUGS = puzzle("jugs")
SPEC = {"capacities": [3, 5], "target": 4, "max_moves": 6}
PROBLEM = problem_of("jugs", SPEC)
ANSWER = "fill B, pour B into A, empty A, pour B into A, fill B, pour B into A"


def test_no_move_goes_back() -> None:
    # A 3 is full, B 5 is empty: emptying A would empty all jugs again.
    found = {move.action: move.state for move in JUGS.moves(SPEC, (5, 3, 0))}
    assert found == {("pour", "A", "B"): (4, 0, 3), ("fill", "B"): (4, 3, 5)}
    # A 0, B 3 after two moves: pouring B into A would go back to A 3, B 0.
    found = {move.action: move.state for move in JUGS.moves(SPEC, (4, 0, 3))}
    assert found == {("fill", "A"): (3, 3, 3)}
    # A 1, B 5 after four moves: A is neither empty nor full.
    found = {move.action: move.state for move in JUGS.moves(SPEC, (2, 1, 5))}
    assert found == {("empty", "B"): (1, 1, 0)}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(2, 24), min_size=2, max_size=3, unique=True))
def test_the_moves_include_a_shortest_solution_of_every_target(capacities: list[int]) -> None:
    """The fewest moves to each target are the same with all moves that jugs allow."""
    spec = {"capacities": capacities, "target": 99, "max_moves": 8}
    start = (0,) * len(capacities)

    def legal(held: tuple[int, ...], moves_left: int) -> list[tuple[int, ...]]:
        return [move.state[1:] for move in JUGS.moves(spec, (moves_left, *held))]

    def allowed(held: tuple[int, ...], _: int) -> list[tuple[int, ...]]:
        return poured(capacities, held)

    assert fewest(start, legal) == fewest(start, allowed)


def fewest(
    start: tuple[int, ...], after: Callable[[tuple[int, ...], int], list[tuple[int, ...]]]
) -> dict[int, int]:
    """Amount -> fewest moves, up to 8, until some jug holds it."""
    found, seen, front = {0: 0}, {start}, {start}
    for moves in range(1, 9):
        front = {held for before in front for held in after(before, 9 - moves)} - seen
        seen |= front
        for amount in {amount for held in front for amount in held}:
            found.setdefault(amount, moves)
    return found


def test_verdict_looks_at_target_before_the_limit() -> None:
    assert JUGS.verdict(SPEC, (0, 3, 4)) is Verdict.GOAL
    assert JUGS.verdict(SPEC, (0, 3, 5)) is Verdict.DEAD
    assert JUGS.verdict(SPEC, (1, 3, 5)) is Verdict.OPEN


def test_the_grader_simulates_the_answer() -> None:
    assert is_right(PROBLEM, ANSWER)
    assert not is_right(problem_of("jugs", {**SPEC, "max_moves": 5}), ANSWER)
    assert not is_right(problem_of("jugs", {**SPEC, "target": 2}), ANSWER)  # passes 2 on the way
    assert not is_right(PROBLEM, ANSWER.replace("empty A", "empty C"))
    assert not is_right(PROBLEM, ANSWER.replace(", ", " "))


def test_the_moves_of_an_answer_may_have_numbers() -> None:
    moves = ANSWER.split(", ")
    numbered = [f"{number}) {move}" for number, move in enumerate(moves, 1)]
    assert is_right(PROBLEM, ", ".join(numbered))
    assert not is_right(PROBLEM, ", ".join([*moves[:3], *numbered[3:]]))
    assert not is_right(PROBLEM, ", ".join([*numbered[:-1], f"7) {moves[-1]}"]))
    assert not is_right(PROBLEM, ", ".join(f"0{one}" for one in numbered))


def test_moves_that_waste_water_are_legal_in_an_answer() -> None:
    """The search never empties all jugs, but an answer may."""
    longer = {**SPEC, "max_moves": 8}
    assert is_right(problem_of("jugs", longer), f"fill A, empty A, {ANSWER}")
    assert is_right(problem_of("jugs", longer), f"empty B, fill B, {ANSWER}")
    assert not is_right(problem_of("jugs", longer), f"fill A, empty A, empty A, {ANSWER}")
    assert not is_right(problem_of("jugs", longer), f"pour B into B, {ANSWER}")


def test_the_key_does_not_depend_on_the_order_of_jugs() -> None:
    assert JUGS.canonical_text(SPEC) == JUGS.canonical_text({**SPEC, "capacities": [5, 3]})


@pytest.mark.parametrize(
    ("line", "no_answer"),
    [
        ("Jugs A 3, B 5, target 4, moves 5", "no_solution"),  # needs 6
        ("Jugs A 4, B 6, target 5, moves free", "no_solution"),  # only even amounts
        ("Jugs A 3, B 5, target 9, moves free", "no_solution"),
        ("Jugs A 3, B 5, target unknown, moves free", "missing"),
        ("Jugs unknown, target 4, moves 6", "missing"),
        ("Jugs A 3, B 5, target 4, moves free", None),
    ],
)
def test_questions_without_an_answer_are_read_as_such(line: str, no_answer: str | None) -> None:
    spec = JUGS.read_question(line, "en")
    assert spec is not None
    assert spec.get("no_answer") == no_answer


@pytest.mark.parametrize("jugs", ["A 3", "A 3, B 500", "A 0, B 5", "B 3, A 5x", "3, 5", "A 3 B 5"])
def test_lines_that_state_no_puzzle_are_not_read(jugs: str) -> None:
    assert JUGS.read_question(f"Jugs {jugs}, target 4, moves 6", "en") is None
    assert JUGS.read_question("Jugs A 3, B 5, target 4, moves 99", "en") is None


def test_without_a_limit_any_number_of_moves_is_right() -> None:
    free = problem_of("jugs", {**SPEC, "max_moves": None})
    assert is_right(free, f"fill A, empty A, fill A, empty A, fill A, empty A, {ANSWER}")
    move = JUGS.moves(free.spec, JUGS.start(free.spec))[0]
    texts = JUGS.step_texts(free, 1, JUGS.start(free.spec), move)
    assert texts.verification == "Target 4: A 3 no, B 0 no, move 1 of free"


def test_false_facts_are_unsound() -> None:
    before, after = (6, 0, 0), (5, 0, 5)
    move = next(move for move in JUGS.moves(SPEC, before) if move.state == after)
    texts = JUGS.step_texts(PROBLEM, 1, before, move)
    assert texts.verification == "Target 4: A 0 no, B 5 no, move 1 of 6"
    for false in (
        "Target 4: A 0 no, B 5 no, move 2 of 6",
        "Target 5: A 0 no, B 5 no, move 1 of 6",
        "Target 4: A 0 no, B 5 no, move 1 of 6. Dead end",
        "Target 4: A 0 no, B 5 yes",
        "Target 4: B 5 no, move 1 of 6",
    ):
        wrong = type(texts)(texts.next_step, texts.understanding, texts.summary, false)
        assert not JUGS.read_step(PROBLEM, wrong).sound


POURED = StepTexts(
    "Step 2, A 0, B 5: 2) pour B into A",
    "B has 5, A has room for 3 - 0 = 3",
    "Pour 3: 5 - 3 = 2, 0 + 3 = 3. Now jugs are A 3, B 2",
    "Target 4: A 3 no, B 2 no, move 2 of 6",
)


def test_each_kind_of_move_has_its_own_understanding() -> None:
    expected = {
        ("fill", "B"): ((6, 0, 0), "B takes 5", "Now jugs are A 0, B 5"),
        ("empty", "A"): ((4, 3, 2), "A has 3", "Now jugs are A 0, B 2"),
        ("pour", "B", "A"): ((5, 0, 5), POURED.understanding, POURED.summary),
    }
    for action, (before, understanding, summary) in expected.items():
        move = next(move for move in JUGS.moves(SPEC, before) if move.action == action)
        texts = JUGS.step_texts(PROBLEM, 7 - before[0], before, move)
        assert (texts.understanding, texts.summary) == (understanding, summary)


def test_a_false_start_or_understanding_changes_the_reading() -> None:
    reading = JUGS.read_step(PROBLEM, POURED)
    assert (reading.before, reading.after, reading.sound) == ((5, 0, 5), (4, 3, 2), True)
    for start in ("A 0, B 4", "A 5, B 0", "B 5, A 0", "A 0", "A 0, B 5, C 0", "A 0,B 5", "nothing"):
        changed = replace(POURED, next_step=f"Step 2, {start}: 2) pour B into A")
        assert JUGS.read_step(PROBLEM, changed).before != reading.before
    for understanding in (
        "B has 5, A has room for 3 - 0 = 2",
        "B has 4, A has room for 3 - 0 = 3",
        "B has 5, A has room for 3",
        "B has 5",
        "",
    ):
        changed = replace(POURED, understanding=understanding)
        assert JUGS.read_step(PROBLEM, changed) == replace(reading, sound=False)
    for summary in (
        "Pour 2: 5 - 2 = 3, 0 + 2 = 2. Now jugs are A 3, B 2",
        "Pour 3: 5 - 3 = 2, 0 + 3 = 4. Now jugs are A 3, B 2",
        "Now jugs are A 3, B 2",
    ):
        assert not JUGS.read_step(PROBLEM, replace(POURED, summary=summary)).sound
    limit = replace(POURED, verification=POURED.verification.replace("of 6", "of 7"))
    assert not JUGS.read_step(PROBLEM, limit).sound


@pytest.mark.parametrize(
    "action",
    [
        "fill C",
        "empty Z",
        "pour A into C",
        "pour C into A",
        "fill AB",
        "fill  A",
        "fill a",
        "drink A",
    ],
)
def test_a_jug_that_does_not_exist_makes_no_action(action: str) -> None:
    changed = replace(POURED, next_step=f"Step 2, A 0, B 5: 2) {action}")
    reading = JUGS.read_step(PROBLEM, changed)
    assert (reading.depth, reading.before, reading.action) == (2, (5, 0, 5), None)


JUG_FIELDS = (
    *("sizes", "quantities", "csv", "jugs", "jug_sentences", "jug_clauses", "jug_lines"),
    *("things", "thing_sentences", "numbered_sentences"),
)


def test_words_of_size_fit_the_jugs() -> None:
    """`the largest jug holds 24` is never said of a smaller one."""
    grammar = load_grammar("jugs")
    lists = grammar.words["comparisons3"]
    ranks = {word: rank for words in lists for rank, word in enumerate(words)}
    said = 0
    for seed in range(300):
        spec = {"capacities": [9, 24, 5], "target": 4, "max_moves": None}
        sentences = str(question_fields(spec, grammar, random.Random(seed))["jug_sentences"])
        words = re.findall(rf"\b({'|'.join(ranks)})\b", sentences)
        if len(words) == 3:
            said += 1
            assert [ranks[word] for word in words] == [1, 2, 0], sentences
    assert said > 20


@pytest.mark.parametrize("capacities", [[9, 24], [9, 24, 5]])
def test_each_way_of_writing_the_jugs_has_all_sizes(capacities: list[int]) -> None:
    spec = {"capacities": capacities, "target": 4, "max_moves": 6}
    for seed in range(500):
        fields = question_fields(spec, load_grammar("jugs"), random.Random(seed))
        for name in JUG_FIELDS:
            assert has_numbers(str(fields[name]), capacities), fields[name]
