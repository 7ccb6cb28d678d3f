"""Suites hold what their names say, and their judges are strict."""

import random

from steiner.dags.path_sampling import shortest_path
from steiner.dags.solver import build_dag
from steiner.evaluation.suites import suites
from steiner.tasks import held_out_wording_index
from steiner.types import Split
from tests.evaluation.conftest import RECIPE


def _tasks(name):
    return suites()[name].tasks(RECIPE)


def _solution(task):
    return shortest_path(build_dag(task.problem), random.Random(0)).answer


def test_the_four_suites_are_found():
    assert set(suites()) == {"test", "validation", "wording", "reasoning_gym"}


def test_each_has_the_split_that_it_is_for():
    assert {task.problem.split for task in _tasks("test")} == {Split.TEST}
    assert {task.problem.split for task in _tasks("validation")} == {Split.VALIDATION}
    assert Split.TRAIN not in {task.problem.split for task in _tasks("reasoning_gym")}


def test_the_unseen_wording_is_the_last_and_the_others_avoid_it():
    for name in ("test", "validation", "wording"):
        for task in _tasks(name):
            last = held_out_wording_index(task.problem.family)
            assert (task.problem.wording == last) is (name == "wording")


def test_solutions_are_right_and_corruptions_wrong():
    for suite in suites().values():
        for task in suite.tasks(RECIPE)[::3]:
            answer = _solution(task)
            assert suite.is_right(task, answer)
            assert not suite.is_right(task, "")
            assert not suite.is_right(task, task.problem.question)
            assert not suite.is_right(task, f"{answer} or {answer}")


def test_reasoning_gyms_partial_credit_does_not_count():
    suite = suites()["reasoning_gym"]
    task = next(t for t in suite.tasks(RECIPE) if t.problem.family == "mini_sudoku")
    answer = _solution(task)
    swapped = answer.translate(str.maketrans("12", "21"))
    assert not suite.is_right(task, swapped)  # reasoning-gym itself gives it about half
