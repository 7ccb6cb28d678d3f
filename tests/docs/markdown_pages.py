"""Reads the documentation's Markdown files: fenced blocks, headings, links and inline code.

path -> Page
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(r"^(?P<indent> *)(?P<marks>`{3,})(?P<language>[\w+-]*)[^`]*$")
_DIRECTIVE = re.compile(r"^\s*<!--\s*test:\s*(?P<text>.*?)\s*-->\s*$")
_HEADING = re.compile(r"^(#{1,6}) +(.*?) *#*$")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\((?P<target>[^)\s]+)(?: \"[^\"]*\")?\)")
_INLINE_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is the line of its first text in the file, from 1."""

    page: Path
    line: int
    language: str
    text: str
    directive: str = ""
    """From `<!-- test: skip, the reason -->` on the line above the fence."""

    @property
    def skip_reason(self) -> str:
        """Why the block's test is skipped; empty where it is not."""
        verb, _, reason = self.directive.partition(",")
        return reason.strip() if verb.strip() == "skip" else ""

    @property
    def name(self) -> str:
        """`docs/serving.md:12`, for error messages and test names."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True)
class Page:
    """A Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        """`docs/serving.md`, for error messages and test names."""
        return str(self.path.relative_to(ROOT))

    @cached_property
    def blocks(self) -> list[Block]:
        """All fenced blocks in order."""
        return list(_blocks(self.path, self._lines))

    @cached_property
    def anchors(self) -> set[str]:
        """Names that `#anchor` links may use, made from headings as GitHub makes them."""
        titles = [match[2] for line in self.prose_lines if (match := _HEADING.match(line))]
        return {_slug(title) for title in titles}

    @cached_property
    def links(self) -> list[str]:
        """Targets of all links and pictures."""
        return [match["target"] for line in self.prose_lines for match in _LINK.finditer(line)]

    @cached_property
    def inline_code(self) -> list[str]:
        """Text between single backticks, outside fenced blocks."""
        return [text for line in self.prose_lines for text in _INLINE_CODE.findall(line)]

    @cached_property
    def prose_lines(self) -> list[str]:
        """Lines outside fenced blocks."""
        inside = {
            number
            for block in self.blocks
            for number in range(block.line - 1, block.line + block.text.count("\n") + 1)
        }
        return [line for number, line in enumerate(self._lines, 1) if number not in inside]

    @cached_property
    def _lines(self) -> list[str]:
        return self.path.read_text(encoding="utf-8").splitlines()


def pages() -> list[Page]:
    """README, CONTRIBUTING and everything in docs/."""
    return [Page(path) for path in PAGES]


def _blocks(page: Path, lines: list[str]) -> Iterator[Block]:
    number = 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        if opening is None:
            number += 1
            continue
        directive = _DIRECTIVE.match(lines[number - 1]) if number else None
        closing = next(
            (n for n in range(number + 1, len(lines)) if lines[n].strip() == opening["marks"]),
            None,
        )
        assert closing is not None, f"{page}:{number + 1}: the block is not closed"
        indent = len(opening["indent"])
        yield Block(
            page,
            number + 2,
            opening["language"],
            "".join(line[indent:] + "\n" for line in lines[number + 1 : closing]),
            directive["text"] if directive else "",
        )
        number = closing + 1


def _slug(title: str) -> str:
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
