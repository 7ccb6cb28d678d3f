"""The search as a tree: the position of each step, and the mark that shows how it ended.

Steps, the Problem that they work on -> Steps with their depths, Tree

A step of depth d hangs under the latest step of depth d - 1. Its own words state the depth, if a
task's step reader can read them. Otherwise the decisions give it: a step after proceed is one
deeper, a step after backtrack has the same depth again. The terminal, the server and the page all
show this one Tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from steiner.tasks import StepReading, task
from steiner.tasks.no_answer import is_reading
from steiner.types import Decision, Problem, Step, StepTexts, Verdict


class Mark(StrEnum):
    """The outcome of a step."""

    PROCEED = "proceed"
    """The search went on below the step and stayed there."""
    BACKTRACKED = "backtracked"
    """The search went on below the step, and later came back past it."""
    DEAD_END = "dead_end"
    """The step decided to backtrack."""
    GOAL = "goal"
    """The search ended here, and a grader accepted its answer."""
    UNVERIFIED = "unverified"
    """The search ended here with an answer that nothing has graded."""
    REJECTED = "rejected"
    """The search ended here with an answer that a grader found wrong."""
    STOPPED = "stopped"
    """The search ended here without a goal: by a limit, a repetition or its own words."""


@dataclass(frozen=True, slots=True)
class TreeNode:
    """One step in the tree; its index in `Tree.nodes` is its index among the steps."""

    depth: int
    """0 for the step that reads the question, 1 for a step taken from its start."""
    parent: int | None
    """Index of the step that it hangs under; None for the question."""
    mark: Mark


@dataclass(frozen=True, slots=True)
class Tree:
    """A search. The question is the root; it is not a node."""

    nodes: tuple[TreeNode, ...] = ()

    def children(self) -> dict[int | None, list[int]]:
        """Step, or None for the question -> indices of the steps under it, in order. Those without
        any are left out."""
        found: dict[int | None, list[int]] = {}
        for index, node in enumerate(self.nodes):
            found.setdefault(node.parent, []).append(index)
        return found

    @property
    def num_backtracks(self) -> int:
        """Number of steps that decided to backtrack."""
        return sum(node.mark is Mark.DEAD_END for node in self.nodes)


def build_tree(
    steps: Sequence[Step],
    problem: Problem | None = None,
    *,
    accepted: bool | None = None,
    stopped: bool = False,
) -> tuple[tuple[Step, ...], Tree]:
    """Returns the steps with their depths set, and their tree.

    `accepted` is the grade of the answer, None if nothing graded it; `stopped` says that a limit
    ended the search. Both decide the mark of the last step.
    """
    branch = Branch()
    positions: list[TreePosition] = []
    before: Decision | None = None
    for step in steps:
        is_root = not positions and is_reading(step.texts)
        positions.append(branch.add(stated_depth(problem, step.texts), before, reading=is_root))
        before = step.decision
    kept = set(branch.steps)
    marks = [_mark(step, index in kept) for index, step in enumerate(steps)]
    if steps and steps[-1].decision is Decision.END:
        marks[-1] = _end_mark(_read(problem, steps[-1].texts), accepted, stopped)
    nodes = (TreeNode(p.depth, p.parent, mark) for p, mark in zip(positions, marks, strict=True))
    placed = (replace(s, depth=p.depth) for s, p in zip(steps, positions, strict=True))
    return tuple(placed), Tree(tuple(nodes))


@dataclass(frozen=True, slots=True)
class TreePosition:
    """The position of a step in the tree."""

    depth: int
    parent: int | None


class Branch:
    """The branch from the question to the latest step of a walk; finds each step's position."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        """Indices of the steps from the question to the latest one."""
        self._count = 0
        self._root = 0
        """1 if the first step reads the question: all others hang under it."""

    def add(
        self, stated_depth: int | None, before: Decision | None, *, reading: bool = False
    ) -> TreePosition:
        """The position of the next step; `reading` marks the first one, which reads the question.

        `stated_depth` is the depth that the step's words name; it is ignored if the branch does not
        reach that depth. `before` is the decision of the step before it.
        """
        if reading:
            self.steps, self._count, self._root = [0], 1, 1
            return TreePosition(0, None)
        deepest = len(self.steps) + 1 - self._root
        depth = max(1, deepest - (before is Decision.BACKTRACK))
        if stated_depth is not None and 1 <= stated_depth <= deepest:
            depth = stated_depth
        del self.steps[depth - 1 + self._root :]
        parent = self.steps[-1] if self.steps else None
        self.steps.append(self._count)
        self._count += 1
        return TreePosition(depth, parent)


def stated_depth(problem: Problem | None, texts: StepTexts) -> int | None:
    """The depth that a step's words name, or None; `next_step` alone is enough to read it."""
    reading = _read(problem, texts)
    return None if reading is None else reading.depth


def _read(problem: Problem | None, texts: StepTexts) -> StepReading | None:
    reader = None if problem is None else task(problem.family).step_reader
    if problem is None or reader is None:
        return None
    return reader.read_step(problem, texts)


def _mark(step: Step, kept: bool) -> Mark:
    if step.decision is Decision.BACKTRACK:
        return Mark.DEAD_END
    if step.decision is Decision.PROCEED:
        return Mark.PROCEED if kept else Mark.BACKTRACKED
    return Mark.STOPPED


def _end_mark(reading: StepReading | None, accepted: bool | None, stopped: bool) -> Mark:
    """The mark of the last step, which ended the search."""
    if accepted:
        return Mark.GOAL
    if stopped or (reading is not None and reading.verdict is not Verdict.GOAL):
        return Mark.STOPPED
    return Mark.UNVERIFIED if accepted is None else Mark.REJECTED
