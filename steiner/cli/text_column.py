"""Wraps text to the width of a terminal while it arrives, with a hanging indent.

pieces of text -> lines on a stream

Without a width (a pipe, a file) nothing is wrapped; new lines are still indented.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TextIO
from unicodedata import combining, east_asian_width

Paint = Callable[[str], str]
"""Colours a piece of text."""

_MIN_ROOM = 16
"""Columns that text gets even if the terminal is narrower than its indent."""


class TextColumn:
    """Text between `indent` and `width`, written word by word."""

    def __init__(self, stream: TextIO, *, indent: int, width: int | None) -> None:
        self._stream, self._indent = stream, indent
        self._room = None if width is None else max(_MIN_ROOM, width - indent)
        self._used = 0
        """Columns of the open line after the indent."""
        self._word, self._spaces = "", 0
        self._paint: Paint = str

    def write(self, text: str, paint: Paint = str) -> None:
        """Writes more text; its last word is held back until it is known to be whole."""
        if self._room is None:
            self._write_unwrapped(text, paint)
            return
        if paint is not self._paint:
            self._end_word()
        self._paint = paint
        for character in text:
            if character == "\n":
                self._end_word()
                self._new_line()
            elif character.isspace():
                self._end_word()
                self._spaces += 1
            else:
                self._add_to_word(character)

    def finish(self) -> None:
        """Writes the last word."""
        self._end_word()

    def _write_unwrapped(self, text: str, paint: Paint) -> None:
        for index, line in enumerate(text.split("\n")):
            if index:
                self._new_line()
            self._stream.write(paint(line) if line else "")

    def _add_to_word(self, character: str) -> None:
        """Wide characters, as in Chinese, are words of their own."""
        is_wide = display_width(character) > 1
        if is_wide:
            self._end_word()
        self._word += character
        if is_wide:
            self._end_word()

    def _end_word(self) -> None:
        """Writes the held word, on a new line if it does not fit on the open one."""
        word, self._word = self._word, ""
        if not word or self._room is None:
            return
        if self._used and self._used + self._spaces + display_width(word) > self._room:
            self._new_line()
        while len(word) > self._room:  # longer than a line
            self._put(word[: self._room])
            self._new_line()
            word = word[self._room :]
        self._put(" " * self._spaces + word)

    def _put(self, text: str) -> None:
        self._stream.write(self._paint(text))
        self._used += display_width(text)
        self._spaces = 0

    def _new_line(self) -> None:
        self._stream.write("\n" + " " * self._indent)
        self._used = self._spaces = 0


def fill(entries: Sequence[str], separator: str, width: int | None) -> list[list[int]]:
    """Indices of the entries on each line when as many as fit are put on one line."""
    lines: list[list[int]] = []
    used = 0
    for index, entry in enumerate(entries):
        needed = display_width(entry) + (display_width(separator) if lines else 0)
        if not lines or (width is not None and used + needed > width):
            lines.append([index])
            used = display_width(entry)
        else:
            lines[-1].append(index)
            used += needed
    return lines


def display_width(text: str) -> int:
    """Columns that `text` takes in a terminal."""
    return sum(
        0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1
        for character in text
    )
