"""Each suite holds the problems that its name says, and its grader is strict."""

import random
import re
from dataclasses import replace

from steiner.dags.path_sampling import shortest_path
from steiner.dags.solver import build_dag
from steiner.evaluation.suites import suites
from steiner.evaluation.suites.perturbations import PERTURBATIONS
from steiner.recipe import EvalRecipe, ProblemsRecipe, Recipe
from steiner.tasks import Grade
from steiner.tasks.names import known_names
from steiner.tasks.no_answer import no_answer, sentence
from steiner.tasks.question_grammar import load_grammar
from steiner.types import Split
from tests.evaluation.conftest import RECIPE

ALL_FAMILIES = Recipe(
    name="families",
    problems=ProblemsRecipe(
        levels={"countdown": 1, "knights_knaves": 2, "mini_sudoku": 1, "jugs": 2, "other": 1}
    ),
    eval=EvalRecipe(problems_per_family=8),
)


def _items(name, recipe=RECIPE):
    return suites()[name].items(recipe)


def _solution(item):
    if no_answer(item.problem.spec) is not None:
        return sentence(item.problem.spec, "en")
    return shortest_path(build_dag(item.problem), random.Random(0)).answer


def test_all_suites_are_found():
    perturbed = {f"perturbed/{one.name}" for one in PERTURBATIONS}
    dialogues = {f"dialogue/{kind}" for kind in ("changed", "sure", "unrelated")}
    levels = {f"level/{level}" for level in range(1, 5)}
    honest = {f"no_answer/{reason}" for reason in ("missing", "no_solution", "unknown")}
    others = {"test", "validation", "known_voices", "reasoning_gym"}
    assert set(suites()) == others | perturbed | dialogues | levels | honest


def test_each_suite_has_problems_of_its_split():
    assert {item.problem.split for item in _items("test")} == {Split.TEST}
    assert {item.problem.split for item in _items("validation")} == {Split.VALIDATION}
    assert Split.TRAIN not in {item.problem.split for item in _items("reasoning_gym")}


def test_each_suite_asks_in_voices_of_its_split():
    asked_by = {"test": Split.TEST, "validation": Split.VALIDATION, "known_voices": Split.TRAIN}
    for name, split in asked_by.items():
        for item in _items(name):
            voices = load_grammar(item.problem.family).voices
            assert voices[item.problem.voice].split is split


def test_reasoning_gym_asks_in_its_own_words():
    for item in _items("reasoning_gym", ALL_FAMILIES):
        assert item.problem.question == item.metadata["question"]


def test_questions_without_an_answer_are_of_their_reason():
    for reason in ("missing", "no_solution", "unknown"):
        items = suites()[f"no_answer/{reason}"].items(ALL_FAMILIES)
        assert items
        assert {no_answer(item.problem.spec) for item in items} == {reason}
        assert {item.problem.split for item in items} == {Split.TEST}


def test_dialogues_end_with_a_problem_of_the_main_suite():
    for kind in ("changed", "sure", "unrelated"):
        items = suites()[f"dialogue/{kind}"].items(ALL_FAMILIES)
        assert len(items) > 4
        for item in items:
            roles = [message.role for message in item.problem.messages]
            assert roles == ["user", "assistant", "user"]


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


def test_perturbations_change_what_they_name():
    def questions(name):
        items = suites()[f"perturbed/{name}"].items(ALL_FAMILIES)
        return [item.problem.messages[-1].content for item in items]

    assert all(text == text.lower() for text in questions("lower_case"))
    assert all(text == text.upper() for text in questions("upper_case"))
    assert not any(re.search(r"[.,?!](?=\s|$)", text) for text in questions("no_punctuation"))
    assert all("  " in text for text in questions("extra_whitespace"))
    assert all(text.startswith("Hello! ") for text in questions("greeting"))
    assert all(text.endswith("Thanks!") for text in questions("thanks"))
    unseen = known_names(held_out=True)
    for text in questions("unseen_names"):
        assert sum(name.lower() in text.lower() for name in unseen) >= 3
    for item in suites()["perturbed/system_prompt"].items(ALL_FAMILIES):
        assert [message.role for message in item.problem.messages] == ["system", "user"]


def test_only_families_with_persons_get_unseen_names():
    items = suites()["perturbed/unseen_names"].items(ALL_FAMILIES)
    assert {item.problem.family for item in items} == {"knights_knaves"}


def test_no_suite_has_a_problem_twice_where_levels_overlap():
    """Sudokus with 7 empty cells are of levels 1 and 2, and a comparison pairs answers by key."""
    both = replace(ALL_FAMILIES, eval=EvalRecipe(problems_per_family=60, levels=(1, 2)))
    main = [item.problem.key for item in _items("test", both)]
    assert len(main) > 200
    for name, suite in suites().items():
        keys = [item.problem.key for item in suite.items(both)]
        assert len(set(keys)) == len(keys), name
        assert set(keys) <= set(main) or not suite.is_paired, name
