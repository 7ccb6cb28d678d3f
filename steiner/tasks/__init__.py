"""Problem families, and the way from a seed or a typed question to a Problem.

(family, level, random stream) -> Problem;  text -> Problem | None
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache

from steiner.randomness import random_stream
from steiner.tasks.phrases import Phrases, load_phrases
from steiner.tasks.protocols import Family, Move, StepReading
from steiner.types import Message, Problem, Spec, Split, UserError, problem_key

__all__ = [
    "Family",
    "Move",
    "Phrases",
    "StepReading",
    "families",
    "family",
    "generate_problems",
    "load_phrases",
    "pose",
    "recognise",
]


@cache
def families() -> dict[str, Family]:
    """Every family by name: each module of this package that defines FAMILY."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        instance = getattr(importlib.import_module(f"{__name__}.{info.name}"), "FAMILY", None)
        if isinstance(instance, Family):
            found[instance.name] = instance
    return found


def family(name: str) -> Family:
    """The family of that name. Raises UserError with the nearest name."""
    known = families()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"one of: {', '.join(known)}"
        raise UserError(f"unknown family '{name}'", hint)
    return known[name]


def generate_problems(
    name: str,
    level: int,
    *,
    seed: int,
    split: Split,
    language: str = "en",
    held_out_wording: bool = False,
) -> Iterator[Problem]:
    """Distinct problems of one family, level and split, without end unless they run out.

    The wording is drawn from those that training may see, or is the one kept out of it.
    """
    rng = random_stream("problems", seed, name, level, split, held_out_wording)
    chosen, phrases = family(name), load_phrases(name, language)
    seen: set[str] = set()
    misses = 0
    while misses < 10_000:
        spec = chosen.generate(rng, level)
        last = len(phrases.questions) - 1
        wording = last if held_out_wording else rng.randrange(last)
        problem = pose(name, spec, level=level, language=language, wording=wording)
        if problem.key in seen or problem.split != split:
            misses += 1
            continue
        misses = 0
        seen.add(problem.key)
        yield problem


def pose(
    name: str, spec: Spec, *, level: int = 0, language: str = "en", wording: int = 0
) -> Problem:
    """The Problem of a Spec, asked in one turn in the given wording."""
    chosen, phrases = family(name), load_phrases(name, language)
    return Problem(
        family=name,
        key=problem_key(name, chosen.identity(spec)),
        level=level,
        language=language,
        wording=wording,
        messages=(Message("user", chosen.question(spec, phrases, wording)),),
        spec=spec,
    )


def recognise(text: str, language: str = "en") -> Problem | None:
    """The problem that `text` poses, kept in the words in which it was typed; None if none fits."""
    for name, chosen in families().items():
        spec = chosen.recognise(load_phrases(name, language), text)
        if spec is not None:
            key = problem_key(name, chosen.identity(spec))
            return Problem(name, key, 0, language, 0, (Message("user", text),), spec)
    return None
