"""Wordings of questions: a grammar for each task and language, as data.

steiner/tasks/questions/<language>/<task>.toml, fields of a problem -> the question as a person may
type it

A template is text with choices, rules and fields:

    [Make|Get|Reach] {target} [from|with] <numbers>[, please|].

`[a|b]` is one of its alternatives, which may be empty and may contain further choices; `<name>` is
one of the alternatives of the rule `name`; `{name}` is a field that the task fills in. A voice is a
way of talking (terse notes, a story, an exam): its templates use the rules of the file and of
common.toml. Each voice belongs to one split, so that evaluation asks in voices that training never
heard. After a template is expanded, a person's habits are added: see `Habits`.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import prod
from typing import Any

from steiner.tasks.number_words import NumberWords
from steiner.tasks.phrases import WordingError, require_language
from steiner.tasks.typing_habits import Habits, Kind, Segment, Verbatim, apply_habits
from steiner.types import Split

Field = str | Callable[[random.Random], str]
"""The text of a field, or a function that draws it for each use."""

_QUESTIONS = files("steiner.tasks") / "questions"
_COMMON = "common"
"""The file with the rules and words of all tasks."""
_TOKEN = re.compile(r"\[|\]|\||<[a-z_0-9]+>|\{[a-z_0-9]+\}|[^\[\]|<{]+|[<{]")


@dataclass(frozen=True, slots=True)
class _Part:
    """One element of a template: literal text, a field, a rule, or a choice of templates."""

    kind: str
    text: str = ""
    choices: tuple[tuple[_Part, ...], ...] = ()


_Template = tuple[_Part, ...]


@dataclass(frozen=True, slots=True)
class Voice:
    """A way of talking: its templates, its split, and how it types."""

    name: str
    split: Split
    templates: tuple[_Template, ...]
    habits: Habits


class QuestionGrammar:
    """All wordings of one task's questions in one language."""

    def __init__(
        self,
        name: str,
        table: Mapping[str, Any],
        common: Mapping[str, Any],
        language: str = "en",
    ) -> None:
        self.name = name
        self.language = language
        self.words: Mapping[str, Any] = common.get("words", {}) | table.get("words", {})
        """Texts that the task's code draws from, such as units and pairs of names for roles.

        They have fields in braces, but no rules and no choices, except where `expand` is used.
        """
        self.numbers = NumberWords.of(self.words["numbers"])
        self._texts: Mapping[str, Sequence[str]] = common.get("rules", {}) | table.get("rules", {})
        self._rules = {
            rule: tuple(_parse(text, f"{name}: rule {rule}") for text in texts)
            for rule, texts in self._texts.items()
        }
        self.voices = {voice: self._voice(voice, entry) for voice, entry in table["voices"].items()}
        self._forms = {
            (section, split, kind): tuple(
                _parse(text, f"{name}: {section}.{kind}") for text in texts
            )
            for section in ("missing", "follow_ups")
            for split, kinds in table.get(section, {}).items()
            for kind, texts in kinds.items()
        }
        self._require_known_rules()

    def _voice(self, name: str, entry: Mapping[str, Any]) -> Voice:
        templates = tuple(_parse(text, f"{self.name}: voice {name}") for text in entry["questions"])
        return Voice(name, Split(entry["split"]), templates, Habits.of(entry.get("habits", {})))

    def question(
        self, rng: random.Random, split: Split, fields: Mapping[str, Field]
    ) -> tuple[str, str]:
        """(name of the voice, question) in a random voice of `split`."""
        names = [name for name, voice in self.voices.items() if voice.split is split]
        if not names:
            raise WordingError(f"task '{self.name}' has no voice for {split}", "add one")
        voice = self.voices[rng.choice(names)]
        template = rng.choice(voice.templates)
        return voice.name, self._typed(rng, template, fields, voice.habits)

    def missing(
        self, rng: random.Random, split: Split, what: str, fields: Mapping[str, Field]
    ) -> str:
        """A question that lacks the given `what`."""
        return self._form(rng, "missing", split, what, fields)

    def follow_up(
        self, rng: random.Random, split: Split, kind: str, fields: Mapping[str, Field]
    ) -> str:
        """A later turn of a dialogue that changes the problem in the way `kind`."""
        return self._form(rng, "follow_ups", split, kind, fields)

    def kinds(self, section: str) -> tuple[str, ...]:
        """Kinds of forms in `missing` or `follow_ups`."""
        return tuple(dict.fromkeys(kind for part, _, kind in self._forms if part == section))

    def expand(self, rng: random.Random, text: str, fields: Mapping[str, Field]) -> str:
        """A template given as text, expanded, without habits."""
        return "".join(part for part, _ in self._expand(rng, _parse(text, self.name), fields))

    def template(self, rng: random.Random, rule: str) -> str:
        """One of the alternatives of a rule, not expanded: for several sentences in one style."""
        return rng.choice(self._texts[rule])

    def count(self) -> int:
        """Distinct templates without choices that the voices expand to, before fields are filled
        in and habits added."""
        return sum(self._count(t) for voice in self.voices.values() for t in voice.templates)

    def _form(
        self,
        rng: random.Random,
        section: str,
        split: Split,
        kind: str,
        fields: Mapping[str, Field],
    ) -> str:
        side = "test" if split is Split.TEST else "train"
        templates = self._forms.get((section, side, kind))
        if templates is None:
            raise WordingError(f"task '{self.name}' has no {section}.{side}.{kind}", "add it")
        return self._typed(rng, rng.choice(templates), fields, Habits.of({}))

    def _typed(
        self, rng: random.Random, template: _Template, fields: Mapping[str, Field], habits: Habits
    ) -> str:
        return apply_habits(rng, list(self._expand(rng, template, fields)), habits, self.numbers)

    def _expand(
        self, rng: random.Random, template: _Template, fields: Mapping[str, Field]
    ) -> Iterator[Segment]:
        for part in template:
            if part.kind == "text":
                yield part.text, Kind.WORDS
            elif part.kind == "field":
                if part.text not in fields:
                    raise WordingError(f"{self.name}: unknown field {{{part.text}}}", "check it")
                field = fields[part.text]
                text = field if isinstance(field, str) else field(rng)
                yield text, Kind.VERBATIM if isinstance(text, Verbatim) else Kind.FIELD
            elif part.kind == "rule":
                yield from self._expand(rng, rng.choice(self._rules[part.text]), fields)
            else:
                yield from self._expand(rng, rng.choice(part.choices), fields)

    def _count(self, template: _Template) -> int:
        return prod(self._count_part(part) for part in template)

    def _count_part(self, part: _Part) -> int:
        if part.kind == "rule":
            return sum(map(self._count, self._rules[part.text]))
        return sum(map(self._count, part.choices)) if part.kind == "choice" else 1

    def _require_known_rules(self) -> None:
        templates = [t for voice in self.voices.values() for t in voice.templates]
        for group in (*self._forms.values(), *self._rules.values()):
            templates += group
        for part in (part for template in templates for part in _walk(template)):
            if part.kind == "rule" and part.text not in self._rules:
                raise WordingError(f"{self.name}: unknown rule <{part.text}>", "define it")


@cache
def load_grammar(task: str, language: str = "en") -> QuestionGrammar:
    """The grammar of `task` in `language`. Raises WordingError if there is none, or it is broken.

    common.toml of the language has rules and words for all tasks. Both files together must have
    every list of [words] that the English files have.
    """
    name, table = _read(task, language)
    _, common = _read(_COMMON, language)
    load_numbers(language)  # reports a fault in them as one of common.toml
    try:
        grammar = QuestionGrammar(task, table, common, language)
    except (ValueError, KeyError) as error:
        raise WordingError(f"cannot read {name}: {error}", "correct the file") from error
    if language != "en" and (missing := load_grammar(task).words.keys() - grammar.words.keys()):
        hint = "translate it from the English file"
        raise WordingError(f"{name} and common.toml have no words '{min(missing)}'", hint)
    return grammar


@cache
def load_numbers(language: str = "en") -> NumberWords:
    """The words for numbers in `language`. Raises WordingError if it has none."""
    name, common = _read(_COMMON, language)
    try:
        return NumberWords.of(common["words"]["numbers"])
    except (ValueError, KeyError) as error:
        raise WordingError(f"cannot read {name}: {error}", "correct the file") from error


def _read(task: str, language: str) -> tuple[str, dict[str, Any]]:
    """The name and the content of a file of a language."""
    require_language(language)
    file = _QUESTIONS / language / f"{task}.toml"
    name = f"steiner/tasks/questions/{language}/{task}.toml"
    if not file.is_file():
        raise WordingError(
            f"no questions for task '{task}' in language '{language}'", f"add {name}"
        )
    try:
        return name, tomllib.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # not TOML, or not UTF-8
        raise WordingError(f"cannot read {name}: {error}", "correct the file") from error


def _walk(template: _Template) -> Iterator[_Part]:
    for part in template:
        yield part
        for choice in part.choices:
            yield from _walk(choice)


def _parse(text: str, place: str) -> _Template:
    """A template as parts. Raises WordingError where brackets do not match."""
    tokens = _TOKEN.findall(text)
    template, rest = _sequence(tokens, 0, inside=False)
    if rest != len(tokens):
        raise WordingError(f"{place}: unmatched ] in '{text}'", "correct the template")
    return template


def _sequence(tokens: Sequence[str], start: int, *, inside: bool) -> tuple[_Template, int]:
    """The parts from `start` to the end of a choice, or of the text outside of choices."""
    parts: list[_Part] = []
    index = start
    while index < len(tokens) and tokens[index] != "]" and not (inside and tokens[index] == "|"):
        token = tokens[index]
        index += 1
        if token == "[":
            choices: list[_Template] = []
            while not choices or tokens[index - 1] != "]":
                choice, index = _sequence(tokens, index, inside=True)
                choices.append(choice)
                if index == len(tokens):
                    raise WordingError(f"unmatched [ in '{''.join(tokens)}'", "add the ]")
                index += 1
            parts.append(_Part("choice", choices=tuple(choices)))
        elif len(token) > 2 and token[0] == "<":
            parts.append(_Part("rule", token[1:-1]))
        elif len(token) > 2 and token[0] == "{":
            parts.append(_Part("field", token[1:-1]))
        else:
            parts.append(_Part("text", token))
    return tuple(parts), index
