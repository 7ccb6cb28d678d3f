"""Dialogues: earlier turns before a problem's question, some of which it refers back to.

Problem -> the same Problem at the end of a dialogue

A later turn changes a given ("the second jug holds 7"), asks for something else with the same
givens ("now make 31"), doubts the answer ("are you sure?"), or has nothing to do with the turns
before it. Earlier turns leave only their question and their answer in the context.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from steiner.dags.path_sampling import path_without_search, shortest_path
from steiner.dags.source import DagSource
from steiner.tasks import ask, problem_key_of, task, varied
from steiner.tasks.no_answer import has_search, no_answer, sentence
from steiner.tasks.protocols import FollowUpGenerator, VariedGenerator
from steiner.tasks.question_grammar import load_grammar
from steiner.types import Message, Problem, ReasoningDag, Split, Status

KINDS = ("changed", "sure", "unrelated")
"""Kinds of dialogues: a changed given or question, a doubt, and a question on its own."""

_TRIES = 8


def in_dialogue(
    problem: Problem,
    kind: str,
    rng: random.Random,
    voices: Split,
    other_problem: Callable[[], Problem],
    dags: DagSource,
) -> Problem | None:
    """`problem` as the last turn of a dialogue of that kind; None if its task has none.

    `other_problem` draws a problem for unrelated turns. Every problem in a dialogue of the training
    split is of that split.
    """
    if kind == "unrelated":
        first = other_problem()
        return replace(problem, messages=(*_answered(first, rng, dags), *problem.messages[-1:]))
    if kind == "sure":
        return _doubted(problem, rng, voices, dags)
    return _changed(problem, rng, voices, dags)


def _changed(
    problem: Problem, rng: random.Random, voices: Split, dags: DagSource
) -> Problem | None:
    """An earlier problem of the same kind and its answer, then the turn that changes it."""
    generator = task(problem.family).generator
    if no_answer(problem.spec) is not None or not isinstance(generator, FollowUpGenerator):
        return None
    for _ in range(_TRIES):
        found = generator.follow_up(problem.spec, problem.language, rng, voices)
        if found is None:
            continue
        spec, text = found
        key = problem_key_of(problem.family, spec)
        earlier = ask(replace(problem, spec=spec, key=key, messages=()), rng, voices)
        if problem.split is not Split.TRAIN or earlier.split is Split.TRAIN:
            messages = (*_answered(earlier, rng, dags), Message("user", text))
            spec = problem.spec
            if isinstance(generator, VariedGenerator):
                spec = generator.as_changed(spec, earlier.spec, text)
            return replace(problem, messages=messages, voice="changed", spec=spec)
    return None


def _doubted(
    problem: Problem, rng: random.Random, voices: Split, dags: DagSource
) -> Problem | None:
    """The question, a right or a wrong answer, and a doubt."""
    generator = task(problem.family).generator
    if not has_search(problem.spec) or not isinstance(generator, FollowUpGenerator):
        return None
    text = load_grammar(problem.family, problem.language).follow_up(rng, voices, "sure", {})
    answered = _answered(problem, rng, dags, wrong=rng.random() < 0.5)
    return replace(problem, messages=(*answered, Message("user", text)), voice="sure")


def _answered(
    problem: Problem, rng: random.Random, dags: DagSource, *, wrong: bool = False
) -> tuple[Message, ...]:
    """The problem's turns and its answer."""
    return (*problem.messages, Message("assistant", _answer(problem, rng, dags, wrong=wrong)))


def _answer(problem: Problem, rng: random.Random, dags: DagSource, *, wrong: bool) -> str:
    if not has_search(problem.spec):
        return path_without_search(problem).answer
    dag = dags.dag(problem)
    solvable = dag.nodes[0].status is not Status.DEAD
    if wrong and (answer := _dead_answer(dag, rng)):
        return answer
    return shortest_path(dag, rng).answer if solvable else sentence(problem.spec, problem.language)


def _dead_answer(dag: ReasoningDag, rng: random.Random) -> str:
    """The answer that a random walk into a dead end would give; empty if it does not end so."""
    problem = dag.problem
    known = task(problem.family)
    space, writer = known.require_state_space(), known.require_step_writer()
    state, branch = space.start(problem.spec), []
    while moves := space.moves(problem.spec, state):
        move = rng.choice(moves)
        branch.append((state, move))
        state = move.state
    goals = {node.state for node in dag.nodes if node.status is Status.GOAL}
    return "" if state in goals or not branch else writer.answer(problem, branch)


def reworded(problem: Problem, rng: random.Random, voices: Split) -> Problem:
    """The problem with other names and in other words."""
    return ask(varied(problem, rng), rng, voices)
