"""Problems of a task: generated from a seed, made from a Spec, or read from a model's first step.

(task name, level, seed, split) -> Problems;  Spec -> Problem;  canonical line -> Problem | None
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from steiner.randomness import random_stream
from steiner.tasks.no_answer import has_search, identity
from steiner.tasks.phrases import WordingError
from steiner.tasks.protocols import QuestionReader, UnanswerableGenerator, VariedGenerator
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
    voices: Split | None = None,
    unanswerable: float = 0.0,
    isomorphic: bool = False,
    draws: Counter[str] | None = None,
) -> Iterator[Problem]:
    """Problems of one task, level and split that differ in their keys, until there are no more.

    voices: the split whose voices ask; the problems' own by default.

    unanswerable: share of questions without an answer, for tasks that have such.

    isomorphic: problems with the same key but another Spec count as new.

    draws: `draws[name]` counts the draws of this split, repeats included.

    Raises UserError if the task does not have the level.
    """
    require_level(name, level)
    asked_by = split if voices is None else voices
    rng = random_stream("problems", seed, name, level, split, asked_by, unanswerable)
    generator = task(name).generator
    seen: set[str] = set()
    misses = 0
    while misses < _MAX_MISSES:
        if rng.random() < unanswerable and isinstance(generator, UnanswerableGenerator):
            spec = generator.unanswerable(rng, level)
        else:
            spec = generator.generate(rng, level)
        key = problem_key_of(name, spec)
        problem = Problem(name, key, level, language, (), spec)
        if draws is not None and problem.split == split:
            draws[name] += 1
        form = json.dumps(spec, sort_keys=True) if isomorphic else key
        if form in seen or problem.split != split:
            misses += 1
            continue
        misses = 0
        seen.add(form)
        yield ask(in_language(problem, rng), rng, asked_by)


def require_level(name: str, level: int) -> None:
    """Raises UserError if the task does not have that level."""
    levels = task(name).generator.levels
    if level not in levels:
        hint = f"levels of {name}: {levels.start} to {levels.stop - 1}"
        raise UserError(f"level {level} of task '{name}' does not exist", hint)


def make_problem(
    name: str,
    spec: Spec,
    *,
    level: int = 0,
    language: str = "en",
    seed: int | str = 0,
    voices: Split = Split.TRAIN,
) -> Problem:
    """The Problem of a Spec, asked in one turn by a voice of that split; `seed` decides which."""
    problem = Problem(name, problem_key_of(name, spec), level, language, (), spec)
    return ask(problem, random_stream("question", name, seed), voices)


def ask(problem: Problem, rng: random.Random, voices: Split) -> Problem:
    """The problem asked in one turn, in random words."""
    generator = task(problem.family).generator
    worded = generator.question(problem.spec, problem.language, rng, voices)
    spec = problem.spec
    if isinstance(generator, VariedGenerator):
        spec = generator.as_typed(spec, worded)
    message = Message("user", worded.text)
    return replace(problem, messages=(message,), voice=worded.voice, spec=spec)


def varied(problem: Problem, rng: random.Random) -> Problem:
    """The problem with the parts drawn again that do not matter for its search, such as names."""
    generator = task(problem.family).generator
    if not isinstance(generator, VariedGenerator):
        return problem
    return replace(problem, spec=generator.vary(problem.spec, rng, problem.language))


def in_language(problem: Problem, rng: random.Random) -> Problem:
    """A generated problem with names and words of its language; generators draw English ones."""
    return problem if problem.language == "en" else varied(problem, rng)


def problem_key_of(name: str, spec: Spec) -> str:
    """The canonical key of a Spec: equal for isomorphic problems."""
    text = task(name).generator.canonical_text(spec) if has_search(spec) else identity(spec)
    return problem_key(name, text)


def read_problem(
    understanding: str, messages: Sequence[Message] = (), language: str = "en"
) -> Problem | None:
    """The Problem that a model's first step restates; None if no task can read its line, or if it
    has givens that `messages` do not contain: then the model has invented them."""
    for name, known in tasks().items():
        if known.reader is None:
            continue
        try:
            spec = known.reader.read_question(understanding, language)
        except WordingError:
            continue
        if spec is not None and messages and not _is_stated(known.reader, spec, messages, language):
            return None
        if spec is not None:
            return Problem(name, problem_key_of(name, spec), 0, language, tuple(messages), spec)
    return None


def _is_stated(
    reader: QuestionReader, spec: Spec, messages: Sequence[Message], language: str
) -> bool:
    """True if the dialogue contains every given."""
    text = "\n".join(message.content for message in messages)
    return not has_search(spec) or reader.is_stated(spec, text, language)
