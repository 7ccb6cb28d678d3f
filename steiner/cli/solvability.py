"""Refuses questions of known kinds that have no solution, before a model is loaded.

question -> UserError, or nothing
"""

from __future__ import annotations

from steiner.tasks import recognise, task
from steiner.tasks.phrases import require_language
from steiner.types import Problem, UserError, Verdict

_MAX_STATES = 3000
_MAX_CHARACTERS = 5000
"""No task has questions as long as that."""
_HINT = "change its numbers, or ask the model all the same with --no-check"


def require_solvable(question: str, language: str) -> None:
    """Raises UserError if a task recognises the question and knows that it has no solution.

    Accepts the question if the search for a solution would visit too many states.
    """
    require_language(language)
    if len(question) > _MAX_CHARACTERS:
        return
    try:
        problem = recognise(question, language)
    except UserError as error:
        raise UserError(
            str(error), f"{error.hint}; --no-check asks the model all the same"
        ) from error
    if problem is not None and _is_unsolvable(problem):
        raise UserError(f"this {problem.family} problem has no solution", _HINT)


def _is_unsolvable(problem: Problem) -> bool:
    """True if no legal moves lead to a goal. Searches depth first, because goals are deep."""
    space = task(problem.family).state_space
    if space is None:
        return False
    unexplored = [space.start(problem.spec)]
    seen = set(unexplored)
    while unexplored and len(seen) < _MAX_STATES:
        state = unexplored.pop()
        if space.verdict(problem.spec, state) is Verdict.GOAL:
            return False
        new_states = {move.state for move in space.moves(problem.spec, state)} - seen
        unexplored += new_states
        seen |= new_states
    return not unexplored
