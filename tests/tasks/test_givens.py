"""Givens of a question: whole numbers, in digits or words, as often as the reading has them."""

from __future__ import annotations

import pytest

from steiner.tasks import read_problem
from steiner.tasks.givens import has_digits, has_names, has_numbers
from steiner.types import Message


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("make 24 from 3, 5, 7 and 9", (3, 5, 7, 9, 24)),
        ("twenty-four from three, five and sixty one", (24, 3, 5, 61)),
        ("Seven + 7 = 14?", (7, 7, 14)),
        ("I have two 5s and a 3, make 8", (5, 5, 3, 8)),
        ("two fives, a 3 and a couple of sixes: twenty", (5, 5, 3, 6, 6, 20)),
        ("5 (x2) and 3 make 13", (5, 5, 3, 13)),
        ("make 13 from 5 twice and 3, all numbers 1x", (5, 5, 3, 13)),
        ("3-litre, 5l jug; target=4", (3, 5, 4)),
        ("three cards with a 5 each and one with a 1: make 16", (5, 5, 5, 1, 16)),
    ],
)
def test_numbers_that_are_there(text: str, numbers: tuple[int, ...]) -> None:
    assert has_numbers(text, numbers)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("make 24 from 123456789 and 5", (12, 5, 24)),  # within another number
        ("make 24 from 12 and 5", (12, 12, 24)),  # once, not twice
        ("make 24 from 12 and 5", (12, 5, 4)),
        ("fourteen and five", (4, 5)),  # within another word
        ("", (1,)),
        ("two jugs, one holds 3 and the other 8, get 5", (3, 3, 5)),  # the 8 is left over
    ],
)
def test_numbers_that_are_not(text: str, numbers: tuple[int, ...]) -> None:
    assert not has_numbers(text, numbers)


def test_digits_may_stand_together_and_names_in_any_case() -> None:
    assert has_digits("1__4 _41_", (1, 4, 4, 1))
    assert has_digits("one blank four", (1, 4))
    assert not has_digits("1__4", (1, 4, 4))
    assert has_names("ANN says bob lies", ("Ann", "Bob"))
    assert not has_names("Ann says Bob lies", ("Ann", "Cid"))
    assert not has_names("Annabel says Bob lies", ("Ann", "Bob"))  # within another word
    assert not has_names("Jerry says Bob lies", ("Jerry", "Bob", "Jerry"))  # one person twice


def test_a_reading_with_other_numbers_is_not_graded() -> None:
    asked = (Message("user", "make 24 from 123456789 and 987654321 and 5"),)
    assert read_problem("Numbers 12 12 4, target 24", asked) is None
    assert read_problem("Numbers 12 12 4, target 24") is not None
