"""How things look: colours where they are wanted, plain characters where there are no others.

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
"""In Unicode, in ASCII, and the colour."""


@dataclass(frozen=True, slots=True)
class Style:
    """Whether to use colour, and which characters. Nothing is told by colour alone."""

    colour: bool
    unicode: bool
    width: int = 100

    @classmethod
    def of(cls, stream: TextIO, environment: Mapping[str, str] = os.environ) -> Style:
        """Colour on a terminal unless NO_COLOR is set; Unicode where the encoding has it."""
        terminal = stream.isatty() and environment.get("TERM") != "dumb"
        width = shutil.get_terminal_size().columns if terminal else 100
        colour = terminal and not environment.get("NO_COLOR")
        return cls(colour, _can_write(stream, "├●★◆◇▲✗↩→…·"), width)

    def paint(self, text: str, *names: str) -> str:
        """The text in the named colours or weights."""
        if not self.colour or not text:
            return text
        return "".join(f"\033[{_CODES[name]}m" for name in names) + text + _RESET

    def paint_mark(self, mark: Mark, text: str) -> str:
        """The text in the colour of a mark."""
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
        """What separates the parts of a line."""
        return " · " if self.unicode else " - "


def _can_write(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
