"""Single steps of the families in their own words: from a state, a move and what it leads to.

random stream, family -> Lessons

Each fact is one step by itself, from a random state: no lesson follows a search, and none of the
reasoning format's tokens stands here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from steiner.problems import family, load_phrases
from steiner.problems.claims import UNKNOWN
from steiner.training.ordinary.grids import render_grid
from steiner.training.ordinary.jugs import render_jugs
from steiner.training.ordinary.knights import render_roles
from steiner.training.ordinary.lessons import Fact, Lesson, join
from steiner.training.ordinary.train_problems import random_step, train_problem
from steiner.types import Problem, State


def steps(rng: random.Random, name: str) -> Iterator[Lesson]:
    """A question, and unrelated single steps in it."""
    while True:
        problem = train_problem(rng, name)
        told = [_fact(rng, problem) for _ in range(rng.randint(2, 4))]
        yield Lesson(tuple(told), problem.question)


def _fact(rng: random.Random, problem: Problem) -> Fact:
    """The state that a step starts from, and the step."""
    depth, before, move = random_step(rng, problem)
    texts = family(problem.family).step_texts(
        problem.spec, load_phrases(problem.family), depth, before, move
    )
    told = (texts.next_step, texts.understanding, texts.summary, texts.verification)
    return f"{_state(problem, before)}.", ". ".join(told)


def _state(problem: Problem, state: State) -> str:
    """A state in the words of the summary of a step that led there."""
    phrases = load_phrases(problem.family)
    match problem.family:
        case "countdown":
            return phrases.render("summary", numbers=join(state))
        case "mini_sudoku":
            return phrases.render("summary", grid=render_grid(state))
        case "jugs":
            return phrases.render("summary", jugs=render_jugs(list(state[1:])))
    known = zip(problem.spec["names"], state, strict=True)
    roles = [(name, bool(role)) for name, role in known if role != UNKNOWN]
    return (
        phrases.render("summary", known=render_roles(roles)) if roles else phrases.render("nobody")
    )
