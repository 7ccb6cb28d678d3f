"""What the command line says of a question: which model answers it, and how hard it tries.

options, run folders -> Ask
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from steiner.tasks import recognise, task
from steiner.types import Message, Problem, UserError, Verdict

if TYPE_CHECKING:
    from steiner.inference.answer import ReasoningEvent
    from steiner.inference.reasoner import Reasoner

SHIPPED_MODEL = Path(__file__).parent.parent / "assets" / "model"
"""A trained model that comes with the package, where there is one."""

_MAX_STATES = 3000


@dataclass(frozen=True, slots=True)
class Ask:
    """How each question is to be answered; the fields are those of `Reasoner.solve`."""

    min_steps: int = 0
    max_steps: int | None = None
    max_tokens: int | None = None
    effort: str | None = None
    samples: int = 1
    temperature: float | None = None
    seed: int = 0

    def stream(
        self, reasoner: Reasoner, messages: Sequence[Message]
    ) -> Generator[ReasoningEvent, None, None]:
        """What happens on the way to the answer."""
        return reasoner.stream(
            messages,
            min_steps=self.min_steps,
            max_steps=self.max_steps,
            max_tokens=self.max_tokens,
            effort=self.effort,
            samples=self.samples,
            temperature=self.temperature,
            seed=self.seed,
        )


def find_model(run_dir: Path) -> str:
    """The model to ask where none is named: that of the run, else the newest of the runs beside it,
    else the one shipped with the package. Raises UserError where there is none."""
    others = run_dir.parent.glob("*/rl/config.json")
    newest = sorted(others, key=lambda config: config.stat().st_mtime, reverse=True)
    for config in (run_dir / "rl" / "config.json", *newest, SHIPPED_MODEL / "config.json"):
        if config.is_file():
            return str(config.parent)
    hint = "'steiner run' makes one; or name one with --model"
    raise UserError(f"no model in {run_dir / 'rl'}", hint)


def refuse_unsolvable(question: str, language: str) -> None:
    """Raises UserError where the question poses a problem that surely has no solution, or that its
    family cannot pose; says nothing where too many states would have to be looked at."""
    problem = recognise(question, language)
    if problem is not None and _is_unsolvable(problem):
        hint = "change its numbers and ask again"
        raise UserError(f"this {problem.family} problem has no solution", hint)


def _is_unsolvable(problem: Problem) -> bool:
    """Whether no legal steps lead to a goal: depth first, as goals lie deep."""
    space = task(problem.family).state_space
    if space is None:
        return False
    waiting = [space.start(problem.spec)]
    seen = set(waiting)
    while waiting and len(seen) < _MAX_STATES:
        state = waiting.pop()
        if space.verdict(problem.spec, state) is Verdict.GOAL:
            return False
        fresh = {move.state for move in space.moves(problem.spec, state)} - seen
        waiting += fresh
        seen |= fresh
    return not waiting


def load(model: str, language: str, notices: TextIO) -> Reasoner:
    """The model, with a notice while it is being loaded where somebody watches."""
    with _notice(f"loading {model} ...", notices):
        from steiner.inference.reasoner import Reasoner

        return Reasoner.load(model, language=language)


@contextmanager
def _notice(text: str, notices: TextIO) -> Generator[None, None, None]:
    """Shows a line that vanishes at the end; nothing where the stream is no terminal."""
    if not notices.isatty():
        yield
        return
    print(text, end="", file=notices, flush=True)
    try:
        yield
    finally:
        print("\r\033[K", end="", file=notices, flush=True)
