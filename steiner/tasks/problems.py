"""Problems of a task: generated from a seed, made from a Spec, or recognised in a question.

(task name, level, seed, split) -> Problems;  Spec -> Problem;  text -> Problem | None
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from functools import cache

from steiner.randomness import random_stream
from steiner.tasks.phrases import WordingError, require_language
from steiner.tasks.registry import task, tasks
from steiner.types import Message, Problem, Spec, Split, UserError, problem_key

_MAX_MISSES = 10_000
"""Draws in a row without a new problem, after which a level counts as used up."""


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

    Each has a random wording of those that training may see; with `held_out_wording`, the one that
    is kept out of training. `draws[name]` counts the draws of this split, isomorphic repeats
    included. Raises UserError if the task does not have the level.
    """
    require_level(name, level)
    rng = random_stream("problems", seed, name, level, split, held_out_wording)
    generator = task(name).generator
    held_out = held_out_wording_index(name, language) if held_out_wording else None
    num_for_training = max(1, generator.num_wordings(language) - 1)
    seen: set[str] = set()
    misses = 0
    while misses < _MAX_MISSES:
        spec = generator.generate(rng, level)
        wording = rng.randrange(num_for_training) if held_out is None else held_out
        problem = make_problem(name, spec, level=level, language=language, wording=wording)
        if draws is not None and problem.split == split:
            draws[name] += 1
        if problem.key in seen or problem.split != split:
            misses += 1
            continue
        misses = 0
        seen.add(problem.key)
        yield problem


def require_level(name: str, level: int) -> None:
    """Raises UserError if the task does not have that level."""
    levels = task(name).generator.levels
    if level not in levels:
        hint = f"levels of {name}: {levels.start} to {levels.stop - 1}"
        raise UserError(f"level {level} of task '{name}' does not exist", hint)


def held_out_wording_index(name: str, language: str = "en") -> int:
    """The wording that training never sees. Raises UserError if the task has only one."""
    last = task(name).generator.num_wordings(language) - 1
    if last < 1:
        raise UserError(
            f"task '{name}' has only one wording", "add one, to be kept out of training"
        )
    return last


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
    """The problem in the question `text`, which keeps its words; None if no task recognises it.

    Tasks without a recogniser are skipped. So are tasks without wording in `language`, with one
    warning each. Raises UserError for an unknown language, and for a question of a known task that
    cannot be solved as typed.
    """
    require_language(language)
    for name, known in tasks().items():
        if known.recognizer is None:
            continue
        try:
            spec = known.recognizer.recognise(text, language)
        except WordingError as error:
            _warn_once(f"{error}; its questions are not recognised")
            continue
        if spec is not None:
            message = Message("user", text)
            return Problem(name, problem_key_of(name, spec), 0, language, 0, (message,), spec)
    return None


@cache
def _warn_once(message: str) -> None:
    logging.getLogger(__name__).warning(message)
