"""Questions have no words but those in the files of their language."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from steiner.tasks import names, question_grammar
from steiner.tasks.names import known_names
from steiner.tasks.phrases import require_language, worded_tasks
from steiner.tasks.protocols import FollowUpGenerator, UnanswerableGenerator
from steiner.tasks.question_grammar import load_grammar, load_numbers
from steiner.tasks.registry import task
from steiner.types import Split

LATIN = "abcdefghijklmnopqrstuvwxyz"
CYRILLIC = str.maketrans(LATIN + LATIN.upper(), "абвгджзийклмнопрстуфхцчшщъ" * 2)
IN_PROGRAMS = re.compile(
    r'"row\d":|int g\[|np\.array\(|(?:grid|board|puzzle)(?: ?=|:) ?[\[({]'
    r"|\b(?:none|null)\b|</?t[rd]>",
    re.IGNORECASE,
)
"""Names in programs, which are the same in all languages."""
KEYED_BY_WORDS = {"counted_blanks", "short_units"}
"""Tables of [words] whose keys are words too."""


def in_cyrillic(texts: Any) -> Any:
    """Texts with other letters, except in fields, rules and regular expressions."""
    if isinstance(texts, Mapping):
        return {name: in_cyrillic(entry) for name, entry in texts.items()}
    if isinstance(texts, list):
        return [in_cyrillic(text) for text in texts]
    parts = re.split(r"(\{[a-z_0-9]+\}|<[a-z_0-9]+>|\\\w)", texts)
    return "".join(part if n % 2 else part.translate(CYRILLIC) for n, part in enumerate(parts))


def all_in_cyrillic(table: Mapping[str, Any]) -> dict[str, Any]:
    """The sections of a file with other letters in all texts."""
    sections = ("words", "rules", "missing", "follow_ups")
    made = {section: in_cyrillic(table.get(section, {})) for section in sections}
    for name in KEYED_BY_WORDS & made["words"].keys():
        made["words"][name] = {in_cyrillic(key): word for key, word in made["words"][name].items()}
    made["voices"] = {
        name: voice | {"questions": in_cyrillic(voice["questions"])}
        for name, voice in table.get("voices", {}).items()
    }
    return made


@pytest.fixture
def cyrillic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """English questions in which each text of the files has Cyrillic letters, and so do names."""
    english = require_language("en") / "names.txt"
    text = str(in_cyrillic(english.read_text(encoding="utf-8")))
    (tmp_path / "names.txt").write_text(text, encoding="utf-8")
    read = question_grammar._read

    def read_in_cyrillic(task: str, language: str) -> tuple[str, dict[str, Any]]:
        name, table = read(task, language)
        return name, all_in_cyrillic(table)

    for load in (load_grammar, load_numbers, known_names):
        load.cache_clear()
    monkeypatch.setattr(names, "require_language", lambda language: tmp_path)
    monkeypatch.setattr(question_grammar, "_read", read_in_cyrillic)
    yield
    for load in (load_grammar, load_numbers, known_names):
        load.cache_clear()


def latin_words(text: str) -> set[str]:
    """Words in Latin letters outside of programs, except runs of one letter: those are blanks."""
    words = re.findall(r"[a-z]{2,}", IN_PROGRAMS.sub(" ", text).casefold())
    return {word for word in words if len({*word}) > 1}


@pytest.mark.parametrize("name", worded_tasks())
def test_all_words_of_questions_are_in_the_files_of_the_language(name: str, cyrillic: None) -> None:
    generator, rng = task(name).generator, random.Random(0)
    texts: list[str] = []
    for level in generator.levels:
        for _ in range(150):
            spec = generator.generate(rng, level)
            texts += [generator.question(spec, "en", rng, split).text for split in Split]
            if isinstance(generator, FollowUpGenerator):
                changed = generator.follow_up(spec, "en", rng, Split.TRAIN)
                texts += changed[1:] if changed else ()
            if isinstance(generator, UnanswerableGenerator):
                spec = generator.unanswerable(rng, level)
                texts.append(generator.question(spec, "en", rng, Split.TRAIN).text)
    for text in texts:
        assert not latin_words(text), text
