"""The grammar of questions: its notation, the voices of each task, and how people type."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

import pytest

from steiner.tasks import tasks
from steiner.tasks.names import known_names
from steiner.tasks.number_words import NumberWords
from steiner.tasks.phrases import WordingError
from steiner.tasks.question_grammar import Field, QuestionGrammar, load_grammar, load_numbers
from steiner.tasks.typing_habits import Habits, Kind, Verbatim, apply_habits
from steiner.types import Split

PLAIN = {"typos": 0, "spaces": 0, "lower": 0, "upper": 0, "no_marks": 0, "no_final_mark": 0}


def grammar(questions: list[str], **sections: Any) -> QuestionGrammar:
    voice = {"split": "train", "questions": questions, "habits": PLAIN | {"sentence_case": 0}}
    words = {"words": load_grammar("other").words}
    return QuestionGrammar("toy", {"voices": {"plain": voice}, **sections}, words)


def questions(made: QuestionGrammar, fields: Mapping[str, Field], count: int = 200) -> set[str]:
    rng = random.Random(0)
    return {made.question(rng, Split.TRAIN, fields)[1] for _ in range(count)}


def test_choices_rules_and_fields_are_filled_in() -> None:
    made = grammar(["[make|get|] <what>[, please|][!|.]"], rules={"what": ["{n}", "it [now|]"]})
    found = questions(made, {"n": "24"})
    assert made.count() == 3 * (1 + 2) * 2 * 2
    assert {"make 24, please!", "get it now.", "24."} <= found
    assert len(found) == made.count()


def test_a_bar_outside_of_choices_is_a_bar() -> None:
    assert questions(grammar(["{n} | {n} < 3"]), {"n": "24"}) == {"24 | 24 < 3"}


def test_a_field_may_be_drawn_anew_for_each_use() -> None:
    found = questions(grammar(["{n} {n}"]), {"n": lambda rng: str(rng.randint(1, 2))})
    assert found == {"1 1", "1 2", "2 1", "2 2"}


@pytest.mark.parametrize("text", ["[make", "[make [it|that]", "make]", "[make|]]"])
def test_brackets_that_do_not_match_are_refused(text: str) -> None:
    with pytest.raises(WordingError, match="unmatched"):
        grammar([text])


def test_unknown_rules_fields_and_habits_are_refused() -> None:
    with pytest.raises(WordingError, match="unknown rule <what>"):
        grammar(["make <what>"])
    with pytest.raises(WordingError, match=r"unknown field \{n\}"):
        questions(grammar(["make {n}"]), {})
    with pytest.raises(ValueError, match="unknown habit 'shouts'"):
        Habits.of({"shouts": 1})


@pytest.mark.parametrize("name", sorted(tasks()))
def test_every_task_has_many_forms_and_voices_in_each_split(name: str) -> None:
    made = load_grammar(name)
    splits = [voice.split for voice in made.voices.values()]
    assert made.count() > 10_000
    assert splits.count(Split.TRAIN) >= 10
    assert splits.count(Split.VALIDATION) >= 2
    assert splits.count(Split.TEST) >= 3


@pytest.mark.parametrize("name", sorted(tasks()))
def test_no_template_is_shared_by_voices_of_two_splits(name: str) -> None:
    seen: dict[object, Split] = {}
    for voice in load_grammar(name).voices.values():
        for template in voice.templates:
            assert seen.setdefault(template, voice.split) is voice.split


def test_names_are_of_many_cultures_and_some_are_held_out() -> None:
    train, held_out = known_names(held_out=False), known_names(held_out=True)
    assert len(train) > 2_000
    assert len(held_out) > 150
    assert not set(train) & set(held_out)


def test_habits_never_change_a_grid() -> None:
    grid = Verbatim("1 . . 4\n. . 2 .\n. 3 . .\n4 . . .")
    habits = Habits(0, 0, 1, 1, 1, 1, 1, 1)
    for seed in range(200):
        segments = [("Solve this, please:\n", Kind.WORDS), (grid, Kind.VERBATIM)]
        assert grid in apply_habits(random.Random(seed), segments, habits, load_numbers())


def test_typing_errors_stay_outside_of_fields() -> None:
    habits = Habits(0, 0, 1, 0, 0, 1, 0, 0)
    segments = [("Somebody called ", Kind.WORDS), ("Oluwakemi", Kind.FIELD), (" lies", Kind.WORDS)]
    typed = {
        apply_habits(random.Random(seed), segments, habits, load_numbers()) for seed in range(50)
    }
    assert all("Oluwakemi" in text for text in typed)
    assert len(typed) > 20
    assert "Somebody called Oluwakemi lies" not in typed


def test_numbers_in_words() -> None:
    numbers = load_numbers()
    words = [numbers.text(number, in_words=True) for number in range(100)]
    assert len(set(words)) == 100
    assert (words[0], words[13], words[40], words[99]) == (
        "zero",
        "thirteen",
        "forty",
        "ninety-nine",
    )
    assert numbers.text(100, in_words=True) == "100"
    assert [numbers.plurals[number] for number in (0, 6, 21, 80)] == [
        "zeroes",
        "sixes",
        "twenty-ones",
        "eighties",
    ]
    habits = Habits(0, 0, 0, 0, 0, 0, 1, 0)
    typed = apply_habits(
        random.Random(0), [("make ", Kind.WORDS), ("21", Kind.FIELD)], habits, load_numbers()
    )
    assert typed == "make twenty-one"


def test_the_article_of_a_number_is_that_of_its_word() -> None:
    numbers = load_numbers()
    vowels = {n for n in range(100) if numbers.singulars[n].startswith(("eight", "eleven"))}
    assert {n for n in range(100) if numbers.article(n) == "an"} == vowels
    assert (numbers.article(812), numbers.article(118)) == ("an", "a")


def test_numbers_without_all_their_words_are_refused() -> None:
    numbers = load_grammar("other").words["numbers"]
    with pytest.raises(ValueError, match="plurals has 99, not 100"):
        NumberWords.of(numbers | {"plurals": numbers["plurals"][1:]})
    with pytest.raises(WordingError, match="articles has none for 5"):
        NumberWords.of(numbers | {"articles": [["an", "8"]]}).article(5)


def test_each_habit_shows() -> None:
    text = [("make 24, please. use 3 and 8?", Kind.WORDS)]

    def typed(**chances: float) -> str:
        return apply_habits(
            random.Random(1),
            text,
            Habits.of(PLAIN | {"sentence_case": 0} | chances),
            load_numbers(),
        )

    assert typed() == "make 24, please. use 3 and 8?"
    assert typed(sentence_case=1) == "Make 24, please. Use 3 and 8?"
    assert typed(upper=1) == "MAKE 24, PLEASE. USE 3 AND 8?"
    assert typed(no_final_mark=1) == "make 24, please. use 3 and 8"
    assert typed(no_marks=1) == "make 24 please use 3 and 8"
    assert re.search(r"\n|  ", typed(spaces=1))
