"""The search as a tree: where each step hangs, what became of it, and a drawing in text.

Steps, the Problem that they work on -> Steps with their depths, Tree -> lines of text

A step of depth d hangs under the latest step of depth d - 1. Its own words tell the depth where a
problem family can read them; else the decisions do: proceed goes one deeper, backtrack tries the
same depth again. The terminal, the server and the report all draw from this one Tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from steiner.tasks import StepReading, task
from steiner.types import Decision, Problem, Step, StepTexts, Verdict


class Mark(StrEnum):
    """What became of a step."""

    PROCEED = "proceed"
    """It went on, and the search stayed below it."""
    BACKTRACKED = "backtracked"
    """It went on, and the search later came back past it."""
    DEAD_END = "dead_end"
    """It turned back at once."""
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
    """One step in the tree; its place in `Tree.nodes` is its place among the steps."""

    depth: int
    """1 for a step taken from the question itself."""
    parent: int | None
    """Index of the step that it hangs under; None for the question."""
    mark: Mark


@dataclass(frozen=True, slots=True)
class Tree:
    """A search; the question itself is the root and no node."""

    nodes: tuple[TreeNode, ...] = ()

    def children(self, parent: int | None) -> list[int]:
        """Indices of the steps under a step, or under the question (None), in their order."""
        return [index for index, node in enumerate(self.nodes) if node.parent == parent]

    @property
    def num_backtracks(self) -> int:
        """How often the search turned back."""
        return sum(node.mark is Mark.DEAD_END for node in self.nodes)


# ---------------------------------------------------------------------- from steps to a tree


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
    places: list[Place] = []
    before: Decision | None = None
    for step in steps:
        places.append(branch.place(stated_depth(problem, step.texts), before))
        before = step.decision
    kept = set(branch.steps)
    marks = [_mark(step, index in kept) for index, step in enumerate(steps)]
    if steps and steps[-1].decision is Decision.END:
        marks[-1] = _end_mark(_read(problem, steps[-1].texts), accepted, stopped)
    nodes = (TreeNode(p.depth, p.parent, mark) for p, mark in zip(places, marks, strict=True))
    placed = (replace(s, depth=p.depth) for s, p in zip(steps, places, strict=True))
    return tuple(placed), Tree(tuple(nodes))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a step hangs."""

    depth: int
    parent: int | None


class Branch:
    """Finds the place of each step of a walk, one after the other."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        """Indices of the steps from the question to the latest one."""
        self._count = 0

    def place(self, told: int | None, before: Decision | None) -> Place:
        """Where the next step hangs; `told` is the depth that its words name, `before` the decision
        of the step before it. A told depth that the branch does not reach is not believed."""
        deepest = len(self.steps) + 1
        depth = max(1, deepest - (before is Decision.BACKTRACK))
        if told is not None and 1 <= told <= deepest:
            depth = told
        del self.steps[depth - 1 :]
        parent = self.steps[-1] if self.steps else None
        self.steps.append(self._count)
        self._count += 1
        return Place(depth, parent)


def stated_depth(problem: Problem | None, texts: StepTexts) -> int | None:
    """The depth that a step's own words name; its next step alone is enough to read it."""
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


# ---------------------------------------------------------------------- drawing


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Characters of a drawing; every mark has its own, so that no colour is needed."""

    marks: dict[Mark, str]
    fork: str
    last: str
    rail: str
    ellipsis: str


UNICODE = Glyphs(
    marks={
        Mark.PROCEED: "●",
        Mark.BACKTRACKED: "○",
        Mark.DEAD_END: "✗",
        Mark.GOAL: "★",
        Mark.UNVERIFIED: "◆",
        Mark.REJECTED: "▲",
        Mark.STOPPED: "■",
    },
    fork="├─",
    last="└─",
    rail="│ ",
    ellipsis="…",
)
ASCII = Glyphs(
    marks={
        Mark.PROCEED: "o",
        Mark.BACKTRACKED: "-",
        Mark.DEAD_END: "x",
        Mark.GOAL: "*",
        Mark.UNVERIFIED: "?",
        Mark.REJECTED: "!",
        Mark.STOPPED: "#",
    },
    fork="|-",
    last="`-",
    rail="| ",
    ellipsis="...",
)
MEANINGS = {
    Mark.PROCEED: "went on",
    Mark.BACKTRACKED: "went on, came back",
    Mark.DEAD_END: "dead end, went back",
    Mark.GOAL: "goal: the answer is right",
    Mark.UNVERIFIED: "answer, not checked",
    Mark.REJECTED: "answer, wrong",
    Mark.STOPPED: "stopped before a goal",
}
"""The legend: the meaning of each mark, in the words that every display uses."""

_SHORTEST_TITLE = 24

Paint = Callable[[Mark, str], str]
"""Colours a text by its mark."""


def draw(
    tree: Tree,
    steps: Sequence[Step],
    *,
    glyphs: Glyphs = UNICODE,
    width: int = 100,
    paint: Paint = lambda mark, text: text,
) -> list[str]:
    """The tree as lines of text: the question, then each step with its mark, number and words."""
    lines = ["question"]

    def descend(parent: int | None, rails: str) -> None:
        children = tree.children(parent)
        for index in children:
            last = index == children[-1]
            mark = tree.nodes[index].mark
            start = f"{rails}{glyphs.last if last else glyphs.fork}"
            label = f"{glyphs.marks[mark]} {index + 1}"
            room = max(_SHORTEST_TITLE, width - len(start) - len(label) - 3)
            words = shortened(title(steps[index]), room, glyphs.ellipsis)
            lines.append(f"{start} {paint(mark, f'{label}  {words}')}")
            descend(index, rails + ("  " if last else glyphs.rail))

    descend(None, "")
    return lines


def legend(tree: Tree, *, glyphs: Glyphs = UNICODE, paint: Paint = lambda mark, text: text) -> str:
    """One line that explains the marks that the tree has."""
    used = {node.mark for node in tree.nodes}
    entries = (f"{glyphs.marks[mark]} {MEANINGS[mark]}" for mark in Mark if mark in used)
    marks = (mark for mark in Mark if mark in used)
    return "   ".join(paint(mark, entry) for mark, entry in zip(marks, entries, strict=True))


def title(step: Step) -> str:
    """The step's next step in one line, without the "Step 2:" or "Step 2 from 9 5:" that its place
    in a tree tells."""
    number = rf"^\w+ {step.depth}\b[^:]{{0,120}}: (?=\S)"
    return re.sub(number, "", one_line(step.texts.next_step))


def one_line(text: str) -> str:
    """`text` with single blanks, and without characters that would steer a terminal."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """What a model wrote, with a sign in place of control characters; newlines stay."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def shortened(text: str, width: int, ellipsis: str) -> str:
    """`text`, cut to `width` characters with an ellipsis where it is longer."""
    return text if len(text) <= width else text[: width - len(ellipsis)] + ellipsis
