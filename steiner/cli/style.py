"""Colours, characters and width of the output, chosen for the stream that it goes to.

output stream, environment -> Style
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from steiner.inference.search_tree import Mark
from steiner.inference.tree_drawing import ASCII, UNICODE, Glyphs
from steiner.types import Decision

_RESET = "\033[0m"
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_MARK_COLOURS = {
    Mark.PROCEED: "cyan",
    Mark.BACKTRACKED: "dim",
    Mark.DEAD_END: "red",
    Mark.GOAL: "green",
    Mark.UNVERIFIED: "yellow",
    Mark.REJECTED: "red",
    Mark.STOPPED: "yellow",
}
_DECISIONS = {
    Decision.PROCEED: ("→ proceed", "-> proceed", "cyan"),
    Decision.BACKTRACK: ("↩ back", "<- back", "red"),
    Decision.END: ("◇ end", "<> end", "cyan"),
}
"""In Unicode, in ASCII, and the colour. The end of a search is not yet a goal: it has no star."""
_DRAWING_WIDTH = 100
"""Columns of a tree drawn into a file or pipe."""
_STACKED_BELOW = 72
"""Terminals narrower than this show a label on a line of its own, above its text."""


@dataclass(frozen=True, slots=True)
class Style:
    """The look of the output. No meaning depends on colour alone."""

    colour: bool
    unicode: bool
    width: int = _DRAWING_WIDTH
    wraps: bool = False
    """Whether text is wrapped to `width`; not in files and pipes."""

    @classmethod
    def of(cls, stream: TextIO, environment: Mapping[str, str] = os.environ) -> Style:
        """Colour in a terminal unless NO_COLOR is set; Unicode if the encoding has it."""
        terminal = stream.isatty()
        width = shutil.get_terminal_size().columns if terminal else _DRAWING_WIDTH
        dumb = environment.get("TERM") == "dumb"
        colour = terminal and not dumb and not environment.get("NO_COLOR")
        return cls(colour, _can_encode(stream, "├●○★◆▲■✗↩→◇…·"), width, terminal)

    @property
    def wrap_width(self) -> int | None:
        """Columns to wrap text to; None if it is not wrapped."""
        return self.width if self.wraps else None

    @property
    def stacks_labels(self) -> bool:
        """True if labels stand above their text, False if they stand at its left."""
        return self.wraps and self.width < _STACKED_BELOW

    def paint(self, text: str, *names: str) -> str:
        """`text` in the named colours or weights."""
        if not self.colour or not text:
            return text
        return "".join(f"\033[{_CODES[name]}m" for name in names) + text + _RESET

    def bold(self, text: str) -> str:
        """`text` in bold."""
        return self.paint(text, "bold")

    def dim(self, text: str) -> str:
        """`text` in a dim colour."""
        return self.paint(text, "dim")

    def paint_mark(self, mark: Mark, text: str) -> str:
        """`text` in the colour of a mark."""
        return self.paint(text, _MARK_COLOURS[mark])

    def decision(self, decision: Decision) -> str:
        """A decision as a sign and a word."""
        in_unicode, in_ascii, colour = _DECISIONS[decision]
        return self.paint(in_unicode if self.unicode else in_ascii, colour)

    @property
    def glyphs(self) -> Glyphs:
        """Characters for drawings."""
        return UNICODE if self.unicode else ASCII

    @property
    def dot(self) -> str:
        """The separator between parts of a line."""
        return " · " if self.unicode else " - "


def _can_encode(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
