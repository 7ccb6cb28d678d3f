"""Wording files: a missing or broken one affects its own task and language only."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from steiner.tasks import (
    Grade,
    generate_problems,
    grade,
    load_phrases,
    make_problem,
    phrases,
    question_grammar,
    read_problem,
)
from steiner.tasks.check_wording import find_fault, main
from steiner.tasks.names import known_names
from steiner.tasks.phrases import WordingError, worded_tasks
from steiner.tasks.question_grammar import load_grammar, load_numbers
from steiner.types import Split, UserError

TASKS = Path(phrases.__file__).parent
QUESTIONS = """
[voices.alone]
split = "train"
habits = { typos = 0, spaces = 0, lower = 0, upper = 0, no_marks = 0, no_final_mark = 0 }
questions = ["Fülle das Gitter {grid_inline} aus."]
"""
GERMAN_NAMES = ("Anke", "Birgit", "Detlef", "Friedrich", "Gudrun", "Heike", "Jochen", "Uwe")
LINE = "Gitter A 1 _ 3 _ / B _ 4 _ 2 / C 2 _ 4 _ / D _ 3 _ 1"


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The wording of a second language, which has a mini sudoku with one German voice only."""
    for folder, module, name in (
        ("steps", phrases, "_WORDING"),
        ("questions", question_grammar, "_QUESTIONS"),
    ):
        shutil.copytree(TASKS / folder / "en", tmp_path / folder / "en")
        (tmp_path / folder / "de").mkdir()
        shutil.copy(TASKS / folder / "en" / "common.toml", tmp_path / folder / "de")
        monkeypatch.setattr(module, name, tmp_path / folder)
    text = (TASKS / "steps" / "en" / "mini_sudoku.toml").read_text(encoding="utf-8")
    text = text.replace('"Sudoku {rows}"', '"Gitter {rows}"')
    (tmp_path / "steps" / "de" / "mini_sudoku.toml").write_text(text, encoding="utf-8")
    english = (TASKS / "questions" / "en" / "mini_sudoku.toml").read_text(encoding="utf-8")
    words = english[english.index("[words]") : english.index("[rules]")]
    file = tmp_path / "questions" / "de" / "mini_sudoku.toml"
    file.write_text(words + QUESTIONS, encoding="utf-8")
    for load in (load_phrases, load_grammar, load_numbers, known_names):
        load.cache_clear()
    yield tmp_path
    for load in (load_phrases, load_grammar, load_numbers, known_names):
        load.cache_clear()


def test_a_language_with_one_task_works_for_that_task(german: Path) -> None:
    assert worded_tasks("de") == ("mini_sudoku",)
    spec = {"grid": [1, 0, 3, 0, 0, 4, 0, 2, 2, 0, 4, 0, 0, 3, 0, 1]}
    problem = make_problem("mini_sudoku", spec, language="de")
    assert problem.question.startswith("Fülle das Gitter")
    found = read_problem(LINE, language="de")
    assert found is not None
    assert (found.key, found.language) == (problem.key, "de")
    assert grade(found, "1 2 3 4 / 3 4 1 2 / 2 1 4 3 / 4 3 2 1") is Grade.RIGHT
    assert read_problem("Numbers 9 7 5 3, target 24", language="de") is None


def test_a_missing_file_is_reported_for_its_task(german: Path) -> None:
    with pytest.raises(WordingError, match="no questions for task 'jugs'") as raised:
        next(generate_problems("jugs", 1, seed=0, split=Split.TRAIN, language="de"))
    assert raised.value.hint == "add steiner/tasks/questions/de/jugs.toml"
    with pytest.raises(WordingError, match="no wording for task 'jugs'") as raised:
        load_phrases("jugs", "de")
    assert raised.value.hint == "add steiner/tasks/steps/de/jugs.toml"


def test_a_split_without_a_voice_is_reported(german: Path) -> None:
    with pytest.raises(WordingError, match="'mini_sudoku' has no voice for test"):
        next(generate_problems("mini_sudoku", 1, seed=0, split=Split.TEST, language="de"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('summary = "Gitter {rows}"', "has no 'box'"),
        ("questions = [", "cannot read"),
        ("", "has no 'box'"),
    ],
)
def test_a_broken_file_is_reported_for_its_task(german: Path, text: str, message: str) -> None:
    file = german / "steps" / "de" / "mini_sudoku.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(WordingError, match=message):
        load_phrases("mini_sudoku", "de")
    assert read_problem(LINE, language="de") is None
    assert read_problem("Numbers 9 7 5 3, target 24") is not None


def test_a_file_of_questions_without_all_words_is_reported(german: Path) -> None:
    file = german / "questions" / "de" / "mini_sudoku.toml"
    file.write_text(QUESTIONS, encoding="utf-8")
    with pytest.raises(WordingError, match=r"de/mini_sudoku.toml and common.toml have no words"):
        load_grammar("mini_sudoku", "de")
    (german / "questions" / "de" / "common.toml").write_text("[words]", encoding="utf-8")
    load_numbers.cache_clear()
    with pytest.raises(WordingError, match=r"de/common.toml: 'numbers'"):
        load_grammar("mini_sudoku", "de")
    (german / "questions" / "de" / "common.toml").unlink()
    with pytest.raises(WordingError, match="no questions") as raised:
        load_grammar("mini_sudoku", "de")
    assert raised.value.hint == "add steiner/tasks/questions/de/common.toml"


def test_generated_problems_have_names_and_words_of_their_language(german: Path) -> None:
    for folder in ("steps", "questions"):
        shutil.copy(TASKS / folder / "en" / "knights_knaves.toml", german / folder / "de")
    (german / "steps" / "de" / "names.txt").write_text("\n".join(GERMAN_NAMES), encoding="utf-8")
    file = german / "questions" / "de" / "knights_knaves.toml"
    words = '"Engel", "Teufel", "Engel", "Teufel"'
    pairs = f'pairs = [["ein Engel", "ein Teufel", {words}]]'
    text = re.sub(r"pairs = \[.*?\n\]", pairs, file.read_text(encoding="utf-8"), flags=re.DOTALL)
    file.write_text(text, encoding="utf-8")
    found = generate_problems("knights_knaves", 2, seed=0, split=Split.TRAIN, language="de")
    for problem in islice(found, 10):
        assert problem.spec["terms"] == ["ein Engel", "ein Teufel"]
        assert all(name.split()[-1].title() in GERMAN_NAMES for name in problem.spec["names"])


def test_the_check_of_a_language_finds_lists_that_do_not_fit(german: Path) -> None:
    file = german / "questions" / "de" / "mini_sudoku.toml"
    whole = file.read_text(encoding="utf-8")
    for old, new, fault in (
        (
            '["top", "next", "next", "last"]',
            '["top"]',
            "a list or a pattern of [words] does not fit",
        ),
        ('"row {word}: "', '"row {wrod}: "', "no field or phrase 'wrod'"),
    ):
        assert old in whole
        file.write_text(whole.replace(old, new), encoding="utf-8")
        load_grammar.cache_clear()
        assert fault in find_fault("mini_sudoku", "de")


def test_an_unknown_language_is_refused(german: Path) -> None:
    for load in (load_phrases, load_grammar):
        with pytest.raises(UserError, match="no language 'fr'") as raised:
            load("jugs", "fr")
        assert raised.value.hint == "one of: de, en"


def test_the_check_of_a_language_finds_what_cannot_be_read_back(
    german: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["de"]) == 0
    assert capsys.readouterr().out.split() == ["mini_sudoku", "ok"]
    file = german / "steps" / "de" / "mini_sudoku.toml"
    whole = file.read_text(encoding="utf-8")
    for old, new, fault in (
        ('summary = "Grid {rows}"', 'summary = "Grid"', "no field or phrase 'rows'"),
        ("the grid is full", "open rows {open_rows}", "a step is not read back"),
        ('summary = "Grid {rows}"', 'summary = "Grid {grid}"', "no field or phrase 'grid'"),
        ('"Gitter {rows}"', '"Gitter"', "no field or phrase 'rows'"),
        ('"Gitter {rows}"', '"Gitter {rows} "', "the restated question is not read back"),
    ):
        file.write_text(whole.replace(old, new), encoding="utf-8")
        load_phrases.cache_clear()
        assert fault in find_fault("mini_sudoku", "de"), new
    assert main(["fr"]) == 2


@pytest.mark.parametrize("name", worded_tasks())
def test_english_wording_has_no_fault(name: str) -> None:
    assert find_fault(name, "en") == ""
