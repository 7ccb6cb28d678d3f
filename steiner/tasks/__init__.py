"""Tasks by name, and the way from a seed or a typed question to a Problem and its grade.

(task name, level, seed) -> Problem;  text -> Problem | None;  (Problem, answer) -> Grade
"""

from __future__ import annotations

from steiner.tasks.phrases import Phrases, load_phrases
from steiner.tasks.problems import (
    generate_problems,
    held_out_wording_index,
    make_problem,
    problem_key_of,
    recognise,
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
    "generate_problems",
    "grade",
    "held_out_wording_index",
    "load_phrases",
    "make_problem",
    "problem_key_of",
    "recognise",
    "register",
    "task",
    "tasks",
    "unregister",
]
