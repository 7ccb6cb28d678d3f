"""Tasks by name, and the way from a seed or a restated question to a Problem and its grade.

(task name, level, seed) -> Problem;  restated question -> Problem | None;
(Problem, answer) -> Grade
"""

from __future__ import annotations

from steiner.tasks.phrases import Phrases, load_phrases
from steiner.tasks.problems import (
    ask,
    generate_problems,
    make_problem,
    problem_key_of,
    read_problem,
    varied,
)
from steiner.tasks.protocols import Grade, Grader, Move, StepReading, Task
from steiner.tasks.registry import grade, register, task, tasks, unregister

__all__ = [
    "Grade",
    "Grader",
    "Move",
    "Phrases",
    "StepReading",
    "Task",
    "ask",
    "generate_problems",
    "grade",
    "load_phrases",
    "make_problem",
    "problem_key_of",
    "read_problem",
    "register",
    "task",
    "tasks",
    "unregister",
    "varied",
]
