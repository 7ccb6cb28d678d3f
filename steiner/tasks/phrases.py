"""Wording as data: templates from wording/<language>/<task>.toml, rendered to text and parsed.

(phrase name, fields) <-> text

A template is ordinary text with `{field}` placeholders. The same template that writes a step reads
the model's version of it, so wording and parser cannot drift apart, and a further language is a
file and no code.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from steiner.types import UserError, Verdict

_VERDICTS = {"dead": Verdict.DEAD, "open": Verdict.OPEN, "goal": Verdict.GOAL}
"""In this order: a family's `goal` may be where its `dead` begins."""
_WORDING = resources.files("steiner.tasks") / "wording"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Phrases:
    """One family's phrases in one language.

    `questions` are whole wordings of the question (the last is kept out of training); every other
    entry of the family's table is one phrase, or a list of variants of which the first is written
    and all are read.
    """

    def __init__(self, family: str, language: str, table: Mapping[str, Any]) -> None:
        self.family = family
        self.language = language
        self.questions: Sequence[str] = tuple(table["questions"])
        self.words: Mapping[str, Any] = dict(table.get("words", {}))
        self._templates: dict[str, tuple[str, ...]] = {
            name: (value,) if isinstance(value, str) else tuple(value)
            for name, value in table.items()
            if name not in ("questions", "words")
        }

    def render(self, name: str, /, **fields: object) -> str:
        """The phrase `name` with its fields filled in."""
        return self._templates[name][0].format_map(fields)

    @property
    def wording(self) -> list[str]:
        """Every text of the family with its fields left out: what a tokenizer should know."""
        words: list[str] = []
        for entry in self.words.values():
            words += [entry] if isinstance(entry, str) else entry
        templates = [text for variants in self._templates.values() for text in variants]
        return words + [_PLACEHOLDER.sub("", text) for text in (*templates, *self.questions)]

    def match(self, text: str, *names: str) -> tuple[str, dict[str, str]] | None:
        """The first of the phrases `names` that is the whole of `text`, with its fields."""
        for name in names:
            for template in self._templates[name]:
                if found := _pattern(template).fullmatch(text.strip()):
                    return name, found.groupdict()
        return None

    def match_verdict(self, text: str) -> Verdict | None:
        """What a verification in the phrase `dead`, `open` or `goal` says; None for others."""
        found = self.match(text, *_VERDICTS)
        return _VERDICTS[found[0]] if found else None

    def match_question(self, text: str) -> dict[str, str] | None:
        """Fields of the question `text`, whichever wording it has; None where none fits.

        White space and letter case do not matter.
        """
        squeezed = " ".join(text.split())
        for template in self.questions:
            if found := _pattern(" ".join(template.split()), re.IGNORECASE).fullmatch(squeezed):
                return found.groupdict()
        return None


def has_phrases(task: str, language: str) -> bool:
    """Whether `task` has a wording in `language`."""
    return _wording_file(task, language).is_file()


@cache
def load_phrases(task: str, language: str = "en") -> Phrases:
    """The phrases of `task` in `language`. Raises UserError if there are none."""
    file = _wording_file(task, language)
    if not file.is_file():
        raise _missing_wording(task, language)
    return Phrases(task, language, tomllib.loads(file.read_text(encoding="utf-8")))


def _wording_file(task: str, language: str) -> Traversable:
    return _WORDING / language / f"{task}.toml"


def _missing_wording(task: str, language: str) -> UserError:
    languages = sorted(entry.name for entry in _WORDING.iterdir() if entry.is_dir())
    if language not in languages:
        return UserError(f"no language '{language}'", f"one of: {', '.join(languages)}")
    return UserError(
        f"no wording for task '{task}' in language '{language}'",
        f"add steiner/tasks/wording/{language}/{task}.toml",
    )


@cache
def _pattern(template: str, flags: int = 0) -> re.Pattern[str]:
    """The regular expression of a template: its text literally, a group for each placeholder."""
    parts = _PLACEHOLDER.split(template)
    pattern, seen = "", set[str]()
    for index, part in enumerate(parts):
        if index % 2 == 0:
            pattern += re.escape(part)
        elif part in seen:
            pattern += f"(?P={part})"
        else:
            seen.add(part)
            pattern += f"(?P<{part}>.+?)"
    return re.compile(pattern, flags | re.DOTALL)
