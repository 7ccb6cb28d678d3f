"""Problems of the training split and single steps in them: the only problems in ordinary text.

random stream, task name -> Problem;  Problem -> (depth, state, Move)
"""

from __future__ import annotations

import random

from steiner.tasks import Move, ask, problem_key_of, task, varied
from steiner.types import Problem, Spec, Split, State, split_of

_WALKS = 20
"""Random walks before giving up: of a nearly full grid, every next one may be a held-out puzzle."""


def train_problem(rng: random.Random, name: str) -> Problem:
    """A problem of any level, lower ones more often, asked by a voice of the training split;
    problems may repeat."""
    generator = task(name).generator
    levels = list(generator.levels)
    while True:
        (level,) = rng.choices(levels, [1 / level for level in levels])
        spec = generator.generate(rng, level)
        if is_train(name, spec):
            problem = Problem(name, problem_key_of(name, spec), level, "en", (), spec)
            return ask(varied(problem, rng), rng, Split.TRAIN)


def is_train(name: str, spec: Spec) -> bool:
    """True if that problem belongs to the training split."""
    return split_of(problem_key_of(name, spec)) is Split.TRAIN


def random_step(rng: random.Random, problem: Problem) -> tuple[int, State, Move] | None:
    """A random legal step: its depth, the state before it, the move.

    Neither state, asked as a question, is a held-out problem. None if no such step was found.
    """
    space = task(problem.family).require_state_space()
    for _ in range(_WALKS):
        state = space.start(problem.spec)
        walk: list[tuple[int, State, Move]] = []
        while moves := space.moves(problem.spec, state):
            move = rng.choice(moves)
            walk.append((len(walk) + 1, state, move))
            state = move.state
        depth, before, move = rng.choice(walk)
        if _may_show(problem, before) and _may_show(problem, move.state):
            return depth, before, move
    return None


def _may_show(problem: Problem, state: State) -> bool:
    if problem.family == "mini_sudoku":
        return is_train("mini_sudoku", {"grid": state})
    if problem.family == "countdown":
        return is_train("countdown", {**problem.spec, "numbers": state})
    return True
