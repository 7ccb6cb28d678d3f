"""Tasks by name, and the way from a seed or a typed question to a Problem.

(task name, level, random stream) -> Problem;  text -> Problem | None;  (Problem, answer) -> Grade
"""

from __future__ import annotations

import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache

from steiner.randomness import random_stream
from steiner.tasks.phrases import Phrases, has_phrases, load_phrases
from steiner.tasks.protocols import Grade, Grader, Move, StepReading, Task
from steiner.types import Message, Problem, Spec, Split, UserError, problem_key

__all__ = [
    "Grade",
    "Grader",
    "Move",
    "Phrases",
    "StepReading",
    "Task",
    "generate_problems",
    "grade",
    "load_phrases",
    "make_problem",
    "problem_key_of",
    "recognise",
    "register",
    "task",
    "tasks",
]

_MAX_MISSES = 10_000
"""Draws in a row without a new problem, after which a level counts as used up."""

_registered: dict[str, Task] = {}


def tasks() -> dict[str, Task]:
    """Every task by name: the built-in ones, and those added by `register`."""
    return {**_built_in(), **_registered}


def task(name: str) -> Task:
    """The task of that name. Raises UserError with the nearest name."""
    known = tasks()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"one of: {', '.join(known)}"
        raise UserError(f"unknown task '{name}'", hint)
    return known[name]


def register(added: Task) -> None:
    """Add a task under its name, in this process. Replaces a task of the same name."""
    _registered[added.name] = added


@cache
def _built_in() -> dict[str, Task]:
    """Each module of this package that defines TASK."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        instance = getattr(importlib.import_module(f"{__name__}.{info.name}"), "TASK", None)
        if isinstance(instance, Task):
            found[instance.name] = instance
    return found


def grade(problem: Problem, answer: str) -> Grade:
    """The grade of `answer` by the grader of the problem's task."""
    return task(problem.family).grader.grade(problem, answer)


def generate_problems(
    name: str,
    level: int,
    *,
    seed: int,
    split: Split,
    language: str = "en",
    held_out_wording: bool = False,
    draws: Counter[str] | None = None,
) -> Iterator[Problem]:
    """Problems of one task, level and split that differ in their keys, until there are no more.

    Wordings are drawn from those that training may see; `held_out_wording` takes the one that is
    kept out of training. `draws[name]` counts the draws of this split, isomorphic repeats included.
    """
    rng = random_stream("problems", seed, name, level, split, held_out_wording)
    generator = task(name).generator
    last = generator.num_wordings(language) - 1
    seen: set[str] = set()
    misses = 0
    while misses < _MAX_MISSES:
        spec = generator.generate(rng, level)
        wording = last if held_out_wording else rng.randrange(max(1, last))
        problem = make_problem(name, spec, level=level, language=language, wording=wording)
        if draws is not None and problem.split == split:
            draws[name] += 1
        if problem.key in seen or problem.split != split:
            misses += 1
            continue
        misses = 0
        seen.add(problem.key)
        yield problem


def make_problem(
    name: str, spec: Spec, *, level: int = 0, language: str = "en", wording: int = 0
) -> Problem:
    """The Problem of a Spec, asked in one turn in the given wording."""
    question = task(name).generator.question(spec, language, wording)
    return Problem(
        family=name,
        key=problem_key_of(name, spec),
        level=level,
        language=language,
        wording=wording,
        messages=(Message("user", question),),
        spec=spec,
    )


def problem_key_of(name: str, spec: Spec) -> str:
    """The canonical key of a Spec: equal for isomorphic problems."""
    return problem_key(name, task(name).generator.canonical_text(spec))


def recognise(text: str, language: str = "en") -> Problem | None:
    """The problem that `text` states, kept in the words in which it was typed; None if it is of no
    known task.

    A task without wording in `language` is skipped. Raises UserError if the question is of a known
    task but cannot be solved as typed.
    """
    for name, known in tasks().items():
        if known.recognizer is None or not has_phrases(name, language):
            continue
        spec = known.recognizer.recognise(load_phrases(name, language), text)
        if spec is not None:
            message = Message("user", text)
            return Problem(name, problem_key_of(name, spec), 0, language, 0, (message,), spec)
    return None
