"""Single steps of the families in their own words: what a move leads to, what a state is worth.

random stream, family -> Lessons

Each fact is one step by itself, from a random state: no lesson follows a search, and none of the
reasoning format's tokens stands here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from steiner.problems import Move, family, load_phrases
from steiner.training.ordinary.grids import render_grid
from steiner.training.ordinary.lessons import Fact, Lesson
from steiner.training.ordinary.train_problems import random_step, train_problem
from steiner.types import Problem, State, StepTexts

_NEED_QUESTION = ("knights_knaves", "jugs")
"""Families of which a move's effect or choice cannot be told without the question."""


def steps(rng: random.Random, name: str) -> Iterator[Lesson]:
    """A question, and unrelated single moves or verdicts on it."""
    while True:
        problem = train_problem(rng, name)
        judged = rng.random() < 0.5
        told = [_fact(rng, problem, judged) for _ in range(rng.randint(2, 4))]
        needs = judged or name in _NEED_QUESTION
        yield Lesson(tuple(told), problem.question if needs else "")


def _fact(rng: random.Random, problem: Problem, judged: bool) -> Fact:
    depth, before, move = random_step(rng, problem)
    chosen, phrases = family(problem.family), load_phrases(problem.family)
    texts = chosen.step_texts(problem.spec, phrases, depth, before, move)
    if judged:
        # The moves left follow from the number of the step.
        head = f"{texts.next_step}. " if problem.family == "jugs" or rng.random() < 0.3 else ""
        return f"{head}{texts.summary}.", texts.verification
    action = _bare(texts)
    if rng.random() < 0.5:
        return f"{_before(problem, before, move, texts)}. {action}:", texts.summary
    return f"{_before(problem, before, move, texts)}.", f"{action}. {texts.summary}"


def _bare(texts: StepTexts) -> str:
    """The move without the number of its step."""
    action = texts.next_step.split(": ", 1)[1]
    return action[0].upper() + action[1:]


def _before(problem: Problem, before: State, move: Move, texts: StepTexts) -> str:
    """The understanding, with the whole grid where it tells only a row of it."""
    if problem.family != "mini_sudoku":
        return texts.understanding
    return f"Grid {render_grid(before)}. {texts.understanding}"
