"""Each suite holds the problems that its name says, and its grader is strict."""

import random

import pytest

from steiner.dags.path_sampling import shortest_path
from steiner.dags.solver import build_dag
from steiner.evaluation.suites import suites
from steiner.evaluation.suites.perturbations import PERTURBATIONS, UNCOMMON_NAMES
from steiner.recipe import EvalRecipe, ProblemsRecipe, Recipe
from steiner.tasks import Grade, held_out_wording_index
from steiner.types import Split
from tests.evaluation.conftest import RECIPE

ALL_FAMILIES = Recipe(
    name="families",
    problems=ProblemsRecipe(
        levels={"countdown": 1, "knights_knaves": 2, "mini_sudoku": 1, "jugs": 2}
    ),
    eval=EvalRecipe(problems_per_family=8),
)


def _items(name, recipe=RECIPE):
    return suites()[name].items(recipe)


def _solution(item):
    return shortest_path(build_dag(item.problem), random.Random(0)).answer


def test_all_suites_are_found():
    perturbed = {f"perturbed/{one.name}" for one in PERTURBATIONS}
    assert set(suites()) == {"test", "validation", "wording", "reasoning_gym"} | perturbed


def test_each_suite_has_problems_of_its_split():
    assert {item.problem.split for item in _items("test")} == {Split.TEST}
    assert {item.problem.split for item in _items("validation")} == {Split.VALIDATION}
    assert Split.TRAIN not in {item.problem.split for item in _items("reasoning_gym")}


def test_only_the_wording_suite_uses_the_held_out_wording():
    for name in ("test", "validation", "wording"):
        for item in _items(name):
            last = held_out_wording_index(item.problem.family)
            assert (item.problem.wording == last) is (name == "wording")


def test_solutions_are_right_and_corrupted_ones_are_not():
    for suite in suites().values():
        for item in suite.items(ALL_FAMILIES):
            answer = _solution(item)
            assert suite.grade(item, answer) is Grade.RIGHT
            for wrong in ("", item.problem.question, f"{answer} or {answer}"):
                assert suite.grade(item, wrong) is not Grade.RIGHT


def test_partial_credit_of_reasoning_gym_does_not_count():
    item = next(i for i in _items("reasoning_gym") if i.problem.family == "mini_sudoku")
    swapped = _solution(item).translate(str.maketrans("12", "21"))
    grade = suites()["reasoning_gym"].grade(item, swapped)
    assert grade is not Grade.RIGHT  # reasoning-gym itself gives it about half


def test_paired_suites_repeat_problems_of_the_main_suite():
    main = {item.problem.key: item.problem for item in _items("test", ALL_FAMILIES)}
    for suite in filter(lambda suite: suite.is_paired, suites().values()):
        for item in suite.items(ALL_FAMILIES):
            assert item.problem.messages != main[item.problem.key].messages


@pytest.mark.parametrize("case", ["lower", "upper"])
def test_answers_may_repeat_the_changed_case(case):
    suite = suites()[f"perturbed/{case}_case"]
    for item in suite.items(ALL_FAMILIES):
        answer = getattr(_solution(item), case)()
        assert suite.grade(item, answer) is Grade.RIGHT
        assert suite.grade(item, f"{answer} or {answer}") is not Grade.RIGHT


def test_perturbations_change_what_they_name():
    def questions(name):
        items = suites()[f"perturbed/{name}"].items(ALL_FAMILIES)
        return [item.problem.messages[-1].content for item in items]

    assert all(text == text.lower() for text in questions("lower_case"))
    assert all(text == text.upper() for text in questions("upper_case"))
    assert not any(mark in text for text in questions("no_punctuation") for mark in ".,?!")
    assert all("  " in text for text in questions("extra_whitespace"))
    assert all(text.startswith("Hello! ") for text in questions("greeting"))
    assert all(text.endswith("Thanks!") for text in questions("thanks"))
    assert all(UNCOMMON_NAMES[0] in text for text in questions("uncommon_names"))
    for item in suites()["perturbed/system_prompt"].items(ALL_FAMILIES):
        assert [message.role for message in item.problem.messages] == ["system", "user"]


def test_only_families_with_persons_get_uncommon_names():
    items = suites()["perturbed/uncommon_names"].items(ALL_FAMILIES)
    assert {item.problem.family for item in items} == {"knights_knaves"}
