"""Jugs: legal moves, simulated answers, false facts, and what cannot be posed."""

from __future__ import annotations

import pytest

from steiner.problems import family, load_phrases
from steiner.types import UserError, Verdict

JUGS, PHRASES = family("jugs"), load_phrases("jugs")
SPEC = {"capacities": [3, 5], "target": 4, "max_moves": 6}
ANSWER = "fill B, pour B into A, empty A, pour B into A, fill B, pour B into A"


def test_moves_change_something_and_never_empty_all() -> None:
    # A 3 is full, B 0: fill B and pour A into B are left; to empty A would empty all.
    found = {move.action: move.state for move in JUGS.moves(SPEC, (5, 3, 0))}
    assert found == {("fill", "B"): (4, 3, 5), ("pour", "A", "B"): (4, 0, 3)}


def test_verdict_looks_at_target_before_the_limit() -> None:
    assert JUGS.verdict(SPEC, (0, 3, 4)) is Verdict.GOAL
    assert JUGS.verdict(SPEC, (0, 3, 5)) is Verdict.DEAD
    assert JUGS.verdict(SPEC, (1, 3, 5)) is Verdict.OPEN


def test_answer_is_simulated() -> None:
    assert JUGS.check(SPEC, PHRASES, ANSWER)
    assert not JUGS.check({**SPEC, "max_moves": 5}, PHRASES, ANSWER)
    assert not JUGS.check({**SPEC, "target": 2}, PHRASES, ANSWER)  # passes 2 on the way
    assert not JUGS.check(SPEC, PHRASES, ANSWER.replace("empty A", "empty C"))
    assert not JUGS.check(SPEC, PHRASES, ANSWER.replace(", ", " "))


def test_moves_that_waste_water_are_legal_in_an_answer() -> None:
    """The search never empties all jugs, but an answer may."""
    longer = {**SPEC, "max_moves": 8}
    assert JUGS.check(longer, PHRASES, f"fill A, empty A, {ANSWER}")
    assert JUGS.check(longer, PHRASES, f"empty B, fill B, {ANSWER}")
    assert not JUGS.check(longer, PHRASES, f"fill A, empty A, empty A, {ANSWER}")
    assert not JUGS.check(longer, PHRASES, f"pour B into B, {ANSWER}")


def test_identity_does_not_depend_on_the_order_of_jugs() -> None:
    assert JUGS.identity(SPEC) == JUGS.identity({**SPEC, "capacities": [5, 3]})


def test_names_of_jugs_may_be_left_out() -> None:
    text = "Jugs hold 3 and 5 liters. Measure 4 in at most 6 moves."
    assert JUGS.recognise(PHRASES, text) == SPEC


@pytest.mark.parametrize(
    ("capacities", "target", "moves"),
    [
        ("A 3 and B 5", 4, 5),  # needs 6
        ("A 4 and B 6", 5, 6),  # only even amounts
        ("A 3 and B 5", 9, 6),
        ("A 3 and B 5", 0, 6),
        ("A 3 and B 5", 4, 99),
        ("A 3 and B 500", 4, 6),
        ("A 0 and B 5", 4, 6),
        ("3", 4, 6),
        ("1, 2, 3 and 4", 4, 6),
    ],
)
def test_what_cannot_be_posed_is_told(capacities: str, target: int, moves: int) -> None:
    with pytest.raises(UserError) as raised:
        JUGS.recognise(
            PHRASES, f"Jugs hold {capacities} liters. Measure {target} in at most {moves} moves."
        )
    assert raised.value.hint


def test_false_facts_are_unsound() -> None:
    before, after = (6, 0, 0), (5, 0, 5)
    move = next(move for move in JUGS.moves(SPEC, before) if move.state == after)
    texts = JUGS.step_texts(SPEC, PHRASES, 1, before, move)
    assert texts.verification == "No jug holds 4, moves left: 5"
    for false in (
        "No jug holds 4, moves left: 4",
        "No jug holds 3, moves left: 5",
        "No jug holds 4 and no move is left",
        "Jug B holds 4",
    ):
        wrong = type(texts)(texts.next_step, texts.understanding, texts.summary, false)
        assert not JUGS.read_step(SPEC, PHRASES, wrong).sound
