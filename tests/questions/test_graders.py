"""Graders of own questions, those in another process included."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from steiner.questions import graders
from steiner.questions.graders import ProcessGrader, RegularExpression, failures, grader_named
from steiner.questions.gym import gym_data, gym_task
from steiner.questions.reading import Question
from steiner.questions.task import problem_of
from steiner.questions.task_file import register_task_file
from steiner.recipe import QuestionsRecipe
from steiner.tasks import tasks
from steiner.tasks.protocols import Grade
from steiner.types import Message, Problem, Split, UserError


def _grade(grader: str, known: str, answer: str) -> Grade:
    problem = problem_of(Question("How much?", known), "questions")
    return grader_named(QuestionsRecipe(grader=grader)).grade(problem, answer)


@pytest.mark.parametrize(
    ("grader", "known", "answer", "grade"),
    [
        ("text", "Yes", " yes. ", Grade.RIGHT),
        ("text", "Yes", "Yes or no", Grade.WRONG),
        ("number", "72", "72.0", Grade.RIGHT),
        ("number", "72", "It is 72", Grade.UNREADABLE),
        ("choice", "(B)", "B", Grade.RIGHT),
        ("choice", "(B)", "A or B", Grade.UNREADABLE),
        ("regex", r"\d+ (cats|dogs)", "3 cats", Grade.RIGHT),
        ("regex", r"\d+ (cats|dogs)", "3 cats and more", Grade.WRONG),
        ("math", "1/2", "0.5", Grade.RIGHT),
        ("math", r"\frac{3}{4}", "3/4", Grade.RIGHT),
        ("math", "1/2", "2", Grade.WRONG),
        ("math", "x+1", "1+x", Grade.RIGHT),
        ("math", "1/2", "", Grade.UNREADABLE),
    ],
)
def test_grades(grader: str, known: str, answer: str, grade: Grade) -> None:
    assert _grade(grader, known, answer) is grade


PROGRAM = """
import os, time
def grade(question, answer, known):
    print("noise on stdout")
    if answer == "hang":
        time.sleep(60)
    if answer == "crash":
        os._exit(3)
    if answer == "raise":
        raise ValueError("no")
    return answer[::-1] == known
"""


def test_a_python_file_that_hangs_or_crashes_grades_on(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PROGRAM, encoding="utf-8")
    grader = ProcessGrader(str(file), time_limit_s=2)
    problem = problem_of(Question("Reverse?", "abc"), "questions")
    answers = ["cba", "hang", "cba", "crash", "cba", "raise", "abc"]
    assert [grader.grade(problem, answer) for answer in answers] == [
        Grade.RIGHT,
        Grade.UNREADABLE,
        Grade.RIGHT,
        Grade.UNREADABLE,
        Grade.RIGHT,
        Grade.UNREADABLE,
        Grade.WRONG,
    ]


def test_a_missing_package_of_a_grader_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "math_verify.py").write_text("import no_such_package", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    graders._process.cache_clear()
    with pytest.raises(UserError, match=r"the grader math fails.*no_such_package") as raised:
        _grade("math", "1/2", "0.5")
    assert "steiner[questions]" in raised.value.hint
    graders._process.cache_clear()


def test_a_file_without_grade_is_one_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("x = 1", encoding="utf-8")
    problem = problem_of(Question("A?", "b"), "questions")
    with pytest.raises(UserError, match="defines no function `grade`"):
        ProcessGrader(str(file)).grade(problem, "b")


@pytest.mark.parametrize("name", ["nonsense", "missing.py"])
def test_an_unknown_grader_is_one_clear_error(name: str) -> None:
    with pytest.raises(UserError, match=f"grader.*{name}"):
        grader_named(QuestionsRecipe(grader=name))


def test_answers_that_cannot_be_graded_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "counted.py"
    file.write_text(PROGRAM, encoding="utf-8")
    grader = ProcessGrader(str(file), time_limit_s=2)
    problem = problem_of(Question("Reverse?", "abc"), "questions")
    for answer in ["hang", "crash", "crash", "raise", "cba", ""]:
        grader.grade(problem, answer)
    counted = {name: n for name, n in failures().items() if name.startswith("counted.py")}
    assert counted == {
        "counted.py: no grade in time": 1,
        "counted.py: the grader crashed": 2,
        "counted.py: the grader raised an error": 1,
    }


def test_an_expression_that_backtracks_for_ever_does_not_stop_the_run() -> None:
    grader = RegularExpression(time_limit_s=2)
    problem = problem_of(Question("How?", "(a+)+"), "questions")
    assert grader.grade(problem, "a" * 40 + "!") is Grade.UNREADABLE
    assert grader.grade(problem, "aaa") is Grade.RIGHT


def test_a_bad_expression_is_one_clear_error() -> None:
    with pytest.raises(UserError, match="no regular expression"):
        RegularExpression().grade(problem_of(Question("A?", "("), "questions"), "x")


def test_a_gym_data_set_is_a_task_with_its_own_scorer() -> None:
    task = gym_task("gym:chain_sum")
    spec = task.generator.generate(random.Random(3), 1)
    message = task.generator.question(spec, "en", random.Random(0), Split.TEST)
    problem = Problem(task.name, "", 1, "en", (Message("user", message.text),), spec)
    seed, index = spec["item"]
    assert gym_data("chain_sum", seed)[index]["question"] == message.text
    assert task.grader.grade(problem, spec["answer"]) is Grade.RIGHT
    assert task.grader.grade(problem, str(int(spec["answer"]) + 1)) is Grade.WRONG


def test_an_unknown_gym_data_set_names_the_nearest() -> None:
    with pytest.raises(UserError) as raised:
        gym_task("gym:chain_sums")
    assert "gym:chain_sum" in raised.value.hint


def test_a_task_file_registers_its_task(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from steiner.tasks import Task\n"
        "from steiner.tasks.graders import Number\n"
        "from tests.toy_task import Sums\n"
        "TASK = Task('my_sums', generator=Sums(), grader=Number())\n",
        encoding="utf-8",
    )
    assert register_task_file(str(file)).name == "my_sums"
    assert "my_sums" in tasks()


@pytest.mark.parametrize(
    ("content", "says"),
    [("x = 1", "defines no TASK"), ("1 / 0", "fails: ZeroDivisionError"), (None, "no task file")],
)
def test_a_bad_task_file_is_one_clear_error(tmp_path: Path, content: str | None, says: str) -> None:
    file = tmp_path / "mine.py"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=says):
        register_task_file(str(file))
