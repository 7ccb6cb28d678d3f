"""The tasks by name: the built-in ones, and those that a program registers.

name -> Task

Every module of this package that defines `TASK` is a built-in task.
"""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from steiner.tasks.protocols import Grade, Task
from steiner.types import Problem, UserError

_registered: dict[str, Task] = {}


def task(name: str) -> Task:
    """The task of that name. Raises UserError with the nearest name."""
    known = tasks()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"one of: {', '.join(known)}"
        raise UserError(f"unknown task '{name}'", hint)
    return known[name]


def tasks() -> dict[str, Task]:
    """All tasks by name: the built-in ones in alphabetical order, then the registered ones."""
    return {**_built_in(), **_registered}


def register(added: Task) -> None:
    """Adds a task under its name, in this process. Replaces a task of the same name."""
    _registered[added.name] = added


def unregister(name: str) -> None:
    """Removes a registered task. Raises KeyError if no task was registered under that name."""
    del _registered[name]


def grade(problem: Problem, answer: str) -> Grade:
    """The grade that the grader of the problem's task gives to `answer`."""
    return task(problem.family).grader.grade(problem, answer)


@cache
def _built_in() -> dict[str, Task]:
    found = {}
    for info in pkgutil.iter_modules([str(Path(__file__).parent)]):
        built_in = getattr(importlib.import_module(f"steiner.tasks.{info.name}"), "TASK", None)
        if isinstance(built_in, Task):
            found[built_in.name] = built_in
    return found
