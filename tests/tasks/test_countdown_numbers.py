"""How people write the numbers of a countdown: every layout states each number."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from steiner.tasks import countdown_numbers as layouts
from steiner.tasks.givens import has_numbers
from steiner.tasks.problems import make_problem
from steiner.tasks.question_grammar import QuestionGrammar, load_grammar
from steiner.types import Split

Layout = Callable[[Sequence[int], random.Random], str]
ENGLISH = load_grammar("countdown")


def in_english(layout: Callable[[Sequence[int], QuestionGrammar, random.Random], str]) -> Layout:
    return lambda numbers, rng: layout(numbers, ENGLISH, rng)


LAYOUTS: tuple[Layout, ...] = (
    in_english(layouts.listed),
    in_english(layouts.counted),
    in_english(layouts.spoken),
    in_english(layouts.owned),
    in_english(layouts.labelled),
    in_english(layouts.on_lines),
    layouts.as_data,
    layouts.with_gaps,
)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("numbers", [(3, 5, 5, 9), (8, 8, 8, 11), (12, 1, 15), (4, 6, 6, 4, 2, 7)])
def test_every_layout_states_each_number(layout: Layout, numbers: Sequence[int]) -> None:
    rng = random.Random(0)
    texts = {layout(numbers, rng) for _ in range(200)}
    assert len(texts) > 5
    for text in texts:
        assert has_numbers(text, numbers), text


def test_numbers_that_come_twice_are_counted_as_people_do() -> None:
    rng = random.Random(1)
    texts = {layouts.counted((3, 5, 5, 8), ENGLISH, rng) for _ in range(500)}
    assert {"a 3, two 5s and an 8", "a three, two fives and an eight"} <= texts
    assert any("pair of 5s" in text for text in texts)


def test_only_training_counts_numbers() -> None:
    spec = {"numbers": [9, 5, 5, 3], "target": 24}
    asked = {
        split: [make_problem("countdown", spec, seed=n, voices=split).question for n in range(300)]
        for split in Split
    }
    counted = {split for split in Split if any("5s" in question for question in asked[split])}
    assert counted == {Split.TRAIN}
