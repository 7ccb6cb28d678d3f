"""Draws a search tree as lines of text, and explains its marks.

Tree, Steps -> lines of text
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from steiner.inference.search_tree import Mark, Tree
from steiner.types import Step


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
    Mark.PROCEED: "continued",
    Mark.BACKTRACKED: "continued, came back later",
    Mark.DEAD_END: "judged a dead end, went back",
    Mark.GOAL: "goal",
    Mark.UNVERIFIED: "answer, not checked",
    Mark.REJECTED: "answer, wrong",
    Mark.STOPPED: "stopped before a goal",
}
"""The legend: the meaning of each mark, in the words that every display uses."""

_SHORTEST_TITLE = 24

PaintMark = Callable[[Mark, str], str]
"""Colours a text by its mark."""


def draw(
    tree: Tree,
    steps: Sequence[Step],
    *,
    glyphs: Glyphs = UNICODE,
    width: int = 100,
    paint: PaintMark = lambda mark, text: text,
) -> list[str]:
    """Draws the tree: the question, then a line per step with its mark, number and title."""
    lines = ["question"]
    for index, rails, last in _walk(tree, glyphs):
        mark = tree.nodes[index].mark
        start = f"{rails}{glyphs.last if last else glyphs.fork}"
        label = f"{glyphs.marks[mark]} {index + 1}"
        room = max(_SHORTEST_TITLE, width - len(start) - len(label) - 3)
        words = shortened(title(steps[index]), room, glyphs.ellipsis)
        lines.append(f"{start} {paint(mark, f'{label}  {words}')}")
    return lines


def _walk(tree: Tree, glyphs: Glyphs) -> Iterator[tuple[int, str, bool]]:
    """Each step, the rails left of it, and whether it is the last child, from top to bottom.

    A stack in place of recursion: a search may be deeper than Python's stack.
    """
    children = tree.children()
    stack: list[tuple[int | None, str, bool]] = [(None, "", True)]
    while stack:
        step, rails, last = stack.pop()
        below = children.get(step, [])
        if step is not None:
            yield step, rails, last
            rails += "  " if last else glyphs.rail
        stack += [(child, rails, child == below[-1]) for child in reversed(below)]


def legend(
    tree: Tree, *, glyphs: Glyphs = UNICODE, paint: PaintMark = lambda mark, text: text
) -> str:
    """One line that explains the marks that the tree has."""
    used = {node.mark for node in tree.nodes}
    entries = (f"{glyphs.marks[mark]} {MEANINGS[mark]}" for mark in Mark if mark in used)
    marks = (mark for mark in Mark if mark in used)
    return "   ".join(paint(mark, entry) for mark, entry in zip(marks, entries, strict=True))


def title(step: Step) -> str:
    """The step's next_step in one line, without the "Step 2:" or "Step 2 from 9 5:" before it: the
    drawing shows that already. Of the step that reads the question, how it read it."""
    if step.depth == 0:
        return one_line(step.texts.understanding)
    number = rf"^\w+ {step.depth}\b[^:]{{0,120}}: (?=\S)"
    return re.sub(number, "", one_line(step.texts.next_step))


def one_line(text: str) -> str:
    """`text` on one line, with single blanks and without control characters."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """`text` with a sign in place of each control character; newlines stay."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def shortened(text: str, width: int, ellipsis: str) -> str:
    """`text`, cut to `width` characters with an ellipsis if it is longer."""
    return text if len(text) <= width else text[: width - len(ellipsis)] + ellipsis
