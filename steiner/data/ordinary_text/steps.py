"""Single steps of the tasks in their own words: a state, a move and its result.

random stream, task name -> FactGroups

Each fact is one step from a random state, or one of the moves that a state allows. No group follows
a search, and there are no reasoning tokens.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from steiner.data.ordinary_text.generators import Fact, FactGroup, join
from steiner.data.ordinary_text.jugs import render_jugs
from steiner.data.ordinary_text.train_problems import random_step, train_problem
from steiner.tasks import Move, load_phrases, task
from steiner.tasks.knights_knaves import lettered
from steiner.tasks.knights_knaves_steps import render_state
from steiner.tasks.mini_sudoku import render_grid
from steiner.types import Problem, State, StepTexts


def steps(rng: random.Random, name: str) -> Iterator[FactGroup]:
    """A question with unrelated single steps, or with different moves from one state."""
    while True:
        problem = train_problem(rng, name)
        facts = _unrelated(rng, problem) if rng.random() < 0.75 else alternatives(rng, problem)
        if facts:
            yield FactGroup(tuple(facts), _context(rng, problem))


def _context(rng: random.Random, problem: Problem) -> str:
    """The canonical line of the question, sometimes after the question itself."""
    restated = task(problem.family).require_reader().reading(problem).understanding
    return f"{problem.question}\n{restated}" if rng.random() < 0.3 else restated


def _unrelated(rng: random.Random, problem: Problem) -> list[Fact]:
    """Steps from random states, each after the state that it starts from."""
    facts: list[Fact] = []
    for _ in range(rng.randint(3, 6)):
        if step := random_step(rng, problem):
            texts = _texts(problem, *step)
            parts = (texts.next_step, texts.understanding, texts.summary, texts.verification)
            facts.append((f"{_state(problem, step[1])}.", ". ".join(parts)))
    return facts


def alternatives(rng: random.Random, problem: Problem) -> list[Fact]:
    """Distinct moves from one state, with their understanding."""
    step = random_step(rng, problem)
    if step is None:
        return []
    depth, before, _ = step
    moves = list(task(problem.family).require_state_space().moves(problem.spec, before))
    chosen = rng.sample(moves, min(len(moves), rng.randint(2, 8)))
    facts = [_texts(problem, depth, before, move) for move in chosen]
    return [(f"{texts.next_step}.", texts.understanding) for texts in facts]


def _texts(problem: Problem, depth: int, before: State, move: Move) -> StepTexts:
    return task(problem.family).require_step_writer().step_texts(problem, depth, before, move)


def _state(problem: Problem, state: State) -> str:
    """A state in the words of the summary of a step that leads to it."""
    phrases = load_phrases(problem.family)
    match problem.family:
        case "countdown":
            return phrases.render("summary", numbers=join(state))
        case "mini_sudoku":
            return phrases.render("summary", rows=render_grid(phrases, state))
        case "jugs":
            return phrases.render("summary", jugs=render_jugs(list(state[1:])))
    return phrases.render("summary", state=render_state(lettered(problem.spec), phrases, state))
