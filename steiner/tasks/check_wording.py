"""Checks a language's wording: asks questions, writes steps and answers and reads them back.

    python -m steiner.tasks.check_wording de

language -> one line per task on stdout; exit code 1 if a task has a fault
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator, Sequence

from steiner.randomness import random_stream
from steiner.tasks.phrases import worded_tasks
from steiner.tasks.problems import in_language, make_problem
from steiner.tasks.protocols import Grade, Move, PuzzleFamily, StepReading
from steiner.tasks.registry import task
from steiner.types import Problem, Split, State, UserError, Verdict

_PROBLEMS = 5
"""Problems per level."""
_QUESTIONS = 50
"""Questions per problem."""
_MAX_WALKS = 2_000
"""Random walks per problem, at least one of which should find a solution."""

_NOT_STATED = ("statements",)
"""Parts of a Spec that its canonical line quotes, and does not state."""


def main(arguments: Sequence[str]) -> int:
    """Checks the language in `arguments`; English by default."""
    language = arguments[0] if arguments else "en"
    try:
        faults = {name: find_fault(name, language) for name in worded_tasks(language)}
    except UserError as error:
        print(f"error: {error}\nhint: {error.hint}", file=sys.stderr)
        return 2
    for name, fault in faults.items():
        print(f"{name:16}{fault or 'ok'}")
    return int(any(faults.values()))


def find_fault(name: str, language: str) -> str:
    """The first fault in the wording of a task; empty if there is none."""
    family = task(name).generator
    if not isinstance(family, PuzzleFamily):
        return ""
    rng = random_stream("check wording", name)
    try:
        for level in family.levels:
            for _ in range(_PROBLEMS):
                spec = family.generate(rng, level)
                made = make_problem(name, spec, level=level, language=language)
                problem = in_language(made, rng)
                _ask_often(rng, family, problem)
                if fault := _reading_fault(family, problem) or _search_fault(rng, family, problem):
                    return fault
    except KeyError as error:
        return f"a text has no field or phrase {error}"
    except UserError as error:
        return str(error)
    except (IndexError, ValueError, re.error) as error:
        return f"a list or a pattern of [words] does not fit: {error}"
    return ""


def _ask_often(rng: random.Random, family: PuzzleFamily, problem: Problem) -> None:
    """Words the question many times. Raises an error for a text or list that does not fit."""
    for _ in range(_QUESTIONS):
        family.question(problem.spec, problem.language, rng, Split.TRAIN)


def _reading_fault(family: PuzzleFamily, problem: Problem) -> str:
    line = family.reading(problem).understanding
    found = family.read_question(line, problem.language)
    spec = {name: value for name, value in problem.spec.items() if name not in _NOT_STATED}
    return "" if found == spec else f"the restated question is not read back: {line}"


def _search_fault(rng: random.Random, family: PuzzleFamily, problem: Problem) -> str:
    for _ in range(_MAX_WALKS):
        branch = list(_walk(rng, family, problem))
        for depth, (before, move) in enumerate(branch, 1):
            texts = family.step_texts(problem, depth, before, move)
            reading = family.read_step(problem, texts)
            verdict = family.verdict(problem.spec, move.state)
            true = StepReading(depth, move.action, before, move.state, verdict, sound=True)
            if reading != true:
                return f"a step is not read back: {texts}"
        if family.verdict(problem.spec, branch[-1][1].state) is Verdict.GOAL:
            answer = family.answer(problem, branch)
            is_right = family.grade(problem, answer) is Grade.RIGHT
            return "" if is_right else f"a right answer is graded wrong: {answer}"
    return ""


def _walk(
    rng: random.Random, family: PuzzleFamily, problem: Problem
) -> Iterator[tuple[State, Move]]:
    state = family.start(problem.spec)
    while moves := family.moves(problem.spec, state):
        move = rng.choice(moves)
        yield state, move
        state = move.state


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
