"""Tasks are found by name, and a task with only a generator and a grader works."""

from __future__ import annotations

from itertools import islice

import pytest

from steiner.dags.solver import build_dag
from steiner.tasks import (
    Grade,
    Task,
    generate_problems,
    grade,
    make_problem,
    read_problem,
    register,
    task,
    tasks,
    unregister,
)
from steiner.types import Split, UserError


def test_built_in_tasks_have_all_parts() -> None:
    assert list(tasks()) == ["countdown", "jugs", "knights_knaves", "mini_sudoku", "other"]
    for name, each in tasks().items():
        assert each.has_exact_dags is (name != "other")
        assert each.is_always_unanswerable is (name == "other")
        assert each.reader is not None


def test_an_unknown_task_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="unknown task 'cuntdown'") as raised:
        task("cuntdown")
    assert raised.value.hint == "did you mean 'countdown'?"


def test_a_registered_task_is_found_until_it_is_removed(toy_task: Task) -> None:
    assert task("toy_sums") is toy_task
    unregister("toy_sums")
    assert "toy_sums" not in tasks()
    with pytest.raises(KeyError):
        unregister("countdown")
    tasks_before = tasks()
    register(toy_task)  # the fixture removes it
    assert tasks().keys() - tasks_before.keys() == {"toy_sums"}


def test_a_generator_and_a_grader_make_problems_and_grades(toy_task: Task) -> None:
    for split in Split:
        problems = list(islice(generate_problems("toy_sums", 1, seed=0, split=split), 20))
        assert len({problem.key for problem in problems}) == 20
        for problem in problems:
            assert (problem.split, problem.voice) == (split, split)
            assert grade(problem, str(problem.spec["answer"])) is Grade.RIGHT
            assert grade(problem, str(problem.spec["answer"] + 1)) is Grade.WRONG
            assert grade(problem, problem.question) is Grade.UNREADABLE


def test_the_key_is_that_of_the_canonical_text(toy_task: Task) -> None:
    one, other = {"a": 2, "b": 3, "answer": 5}, {"a": 3, "b": 2, "answer": 5}
    assert make_problem("toy_sums", one).key == make_problem("toy_sums", other).key
    assert make_problem("toy_sums", one).key != make_problem("toy_sums", {**one, "a": 4}).key


def test_missing_parts_are_named_where_they_are_needed(toy_task: Task) -> None:
    problem = next(generate_problems("toy_sums", 1, seed=0, split=Split.TRAIN))
    with pytest.raises(UserError, match="task 'toy_sums' has no state space") as raised:
        build_dag(problem)
    assert "outcome reward" in raised.value.hint
    assert read_problem(problem.question) is None
    assert not toy_task.has_exact_dags


def test_the_voices_may_be_those_of_another_split(toy_task: Task) -> None:
    problems = generate_problems("toy_sums", 1, seed=0, split=Split.TEST, voices=Split.TRAIN)
    problem = next(problems)
    assert (problem.split, problem.voice) == (Split.TEST, Split.TRAIN)


def test_a_level_that_the_task_lacks_is_refused() -> None:
    with pytest.raises(UserError, match="level 9 of task 'countdown' does not exist") as raised:
        next(generate_problems("countdown", 9, seed=0, split=Split.TRAIN))
    assert raised.value.hint == "levels of countdown: 1 to 4"
