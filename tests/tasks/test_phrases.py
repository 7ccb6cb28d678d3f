"""Wording files: a missing or broken one affects its own task and language only."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from steiner.tasks import (
    Grade,
    generate_problems,
    grade,
    load_phrases,
    make_problem,
    phrases,
    problems,
    recognise,
)
from steiner.tasks.check_wording import find_fault, main
from steiner.tasks.phrases import WordingError, worded_tasks
from steiner.types import Split, UserError

ENGLISH = Path(phrases.__file__).parent / "wording" / "en"
SUDOKU = "Fülle das Gitter {rows} aus."


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a second language, which has a mini sudoku with one German wording only."""
    shutil.copytree(ENGLISH, tmp_path / "en")
    folder = tmp_path / "de"
    folder.mkdir()
    text = (ENGLISH / "mini_sudoku.toml").read_text(encoding="utf-8")
    text = text.replace("Fill the 4 by 4 grid {rows} as a sudoku.", SUDOKU)
    (folder / "mini_sudoku.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(phrases, "_WORDING", tmp_path)
    load_phrases.cache_clear()
    problems._warn_once.cache_clear()
    yield folder
    load_phrases.cache_clear()


def test_a_language_with_one_task_works_for_that_task(
    german: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert worded_tasks("de") == ("mini_sudoku",)
    spec = {"grid": [1, 0, 3, 0, 0, 4, 0, 2, 2, 0, 4, 0, 0, 3, 0, 1]}
    problem = make_problem("mini_sudoku", spec, language="de")
    assert problem.question.startswith("Fülle das Gitter")
    with caplog.at_level(logging.WARNING):
        found = recognise(problem.question, "de")
        again = recognise("Wie spät ist es?", "de")
    assert found is not None
    assert (found.key, found.language) == (problem.key, "de")
    assert grade(found, "1 2 3 4 / 3 4 1 2 / 2 1 4 3 / 4 3 2 1") is Grade.RIGHT
    assert again is None
    warnings = [record.message for record in caplog.records]
    assert len(warnings) == 3  # once for each task without wording
    assert "no wording for task 'countdown' in language 'de'" in warnings[0]


def test_a_missing_file_is_reported_for_its_task(german: Path) -> None:
    with pytest.raises(WordingError, match="no wording for task 'jugs'") as raised:
        next(generate_problems("jugs", 1, seed=0, split=Split.TRAIN, language="de"))
    assert raised.value.hint == "add steiner/tasks/wording/de/jugs.toml"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('summary = "Gitter {rows}"', "has no 'box'"),
        ("questions = [", "cannot read"),
        ("", "has no 'box'"),
    ],
)
def test_a_broken_file_is_reported_for_its_task(german: Path, text: str, message: str) -> None:
    (german / "mini_sudoku.toml").write_text(text, encoding="utf-8")
    with pytest.raises(WordingError, match=message):
        load_phrases("mini_sudoku", "de")
    assert recognise("Make 24 from 3, 5, 7, 9.", "en") is not None
    assert recognise("Make 24 from 3, 5, 7, 9.", "de") is None


def test_an_unknown_language_is_refused(german: Path) -> None:
    for call in (lambda: recognise("Hello", "fr"), lambda: load_phrases("jugs", "fr")):
        with pytest.raises(UserError, match="no language 'fr'") as raised:
            call()
        assert raised.value.hint == "one of: de, en"


def test_the_check_of_a_language_finds_what_cannot_be_read_back(
    german: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["de"]) == 0
    assert capsys.readouterr().out.split() == ["mini_sudoku", "ok"]
    file = german / "mini_sudoku.toml"
    whole = file.read_text(encoding="utf-8")
    for old, new, fault in (
        ('summary = "Grid {rows}"', 'summary = "Grid"', "no field or phrase 'rows'"),
        ("the grid is full", "open rows {open_rows}", "a step is not read back"),
        ('summary = "Grid {rows}"', 'summary = "Grid {grid}"', "no field or phrase 'grid'"),
        (SUDOKU, "Fülle das Gitter aus.", "question 0 is not recognised"),
    ):
        file.write_text(whole.replace(old, new), encoding="utf-8")
        load_phrases.cache_clear()
        assert fault in find_fault("mini_sudoku", "de")
    assert main(["fr"]) == 2


@pytest.mark.parametrize("name", worded_tasks())
def test_english_wording_has_no_fault(name: str) -> None:
    assert find_fault(name, "en") == ""
