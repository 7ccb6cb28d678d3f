"""Wording as data: templates from steps/<language>/<task>.toml, rendered to text and parsed.

(phrase name, fields) <-> text

A template is ordinary text with `{field}` placeholders. The same template writes a step and reads
the model's version of it, so writer and reader always agree, and a new language needs no code.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from steiner.types import Problem, UserError, Verdict

_VERDICTS = {"dead": Verdict.DEAD, "open": Verdict.OPEN, "goal": Verdict.GOAL}
"""In this order, because the template of `goal` can match the text of `dead`."""
_WORDING = resources.files("steiner.tasks") / "steps"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Phrases:
    """One task's phrases in one language.

    `words` are single words. Every other entry is a phrase, or a list of variants: the first is
    written, all are read.
    """

    def __init__(self, task: str, language: str, table: Mapping[str, Any]) -> None:
        self.task = task
        self.language = language
        self.words: Mapping[str, Any] = dict(table.get("words", {}))
        self._templates: dict[str, tuple[str, ...]] = {
            name: (value,) if isinstance(value, str) else tuple(value)
            for name, value in table.items()
            if name != "words"
        }

    def render(self, name: str, /, **fields: object) -> str:
        """The phrase `name` with its fields filled in."""
        return self._templates[name][0].format_map(fields)

    @property
    def names(self) -> set[str]:
        """Names of all phrases and words."""
        return {*self._templates, *(f"words.{name}" for name in self.words)}

    @property
    def wording(self) -> list[str]:
        """All texts of the task without their fields, for training a tokenizer."""
        words: list[str] = []
        for entry in self.words.values():
            words += [entry] if isinstance(entry, str) else list(_values(entry))
        templates = [text for variants in self._templates.values() for text in variants]
        return words + [_PLACEHOLDER.sub("", text) for text in templates]

    def match(self, text: str, *names: str) -> tuple[str, dict[str, str]] | None:
        """The first of the phrases `names` that is the whole of `text`, with its fields."""
        for name in names:
            for template in self._templates[name]:
                if found := _pattern(template).fullmatch(text.strip()):
                    return name, found.groupdict()
        return None

    def match_verdict(self, text: str) -> Verdict | None:
        """The verdict of a text in the phrase `dead`, `open` or `goal`; None for other texts."""
        found = self.match(text, *_VERDICTS)
        return _VERDICTS[found[0]] if found else None


class WordingError(UserError):
    """The wording of a task in a language is missing, incomplete or broken."""


@cache
def load_phrases(task: str, language: str = "en") -> Phrases:
    """The phrases of `task` in `language`.

    Raises UserError for an unknown language, and WordingError if the language has no usable file
    for the task. A file must have every phrase and word that the English file has.
    """
    file = require_language(language) / f"{task}.toml"
    name = f"steiner/tasks/steps/{language}/{task}.toml"
    if not file.is_file():
        raise WordingError(f"no wording for task '{task}' in language '{language}'", f"add {name}")
    try:
        phrases = Phrases(task, language, tomllib.loads(file.read_text(encoding="utf-8")))
    except ValueError as error:  # not TOML, or not UTF-8
        raise WordingError(f"cannot read {name}: {error}", "correct the file") from error
    if language != "en" and (missing := load_phrases(task).names - phrases.names):
        raise WordingError(f"{name} has no '{min(missing)}'", "translate it from the English file")
    return phrases


def phrases_of(problem: Problem) -> Phrases:
    """The phrases of the problem's task in the problem's language."""
    return load_phrases(problem.family, problem.language)


def worded_tasks(language: str = "en") -> tuple[str, ...]:
    """Names of the tasks with a wording file in `language`, in alphabetical order."""
    files = (entry.name for entry in require_language(language).iterdir())
    names = {name.removesuffix(".toml") for name in files if name.endswith(".toml")}
    return tuple(sorted(names - {"common"}))


def require_language(language: str) -> Traversable:
    """The folder with the wording of a language. Raises UserError for an unknown language."""
    known = sorted(entry.name for entry in _WORDING.iterdir() if entry.is_dir())
    if language not in known:
        raise UserError(f"no language '{language}'", f"one of: {', '.join(known)}")
    return _WORDING / language


def _values(entry: Mapping[str, str] | Sequence[str]) -> Iterable[str]:
    return entry.values() if isinstance(entry, Mapping) else entry


@cache
def _pattern(template: str, flags: int = 0) -> re.Pattern[str]:
    """The regular expression of a template: literal text, and a group for each placeholder."""
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
