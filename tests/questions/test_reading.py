"""Reading questions from files of every kind, with each bad row counted."""

from __future__ import annotations

import csv
import json
import re
import socket
from dataclasses import replace
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steiner.data.corpora import corpus_documents
from steiner.questions.check import check_report
from steiner.questions.reading import (
    DUPLICATE,
    NO_ANSWER,
    NO_QUESTION,
    NOT_A_RECORD,
    Question,
    read_questions,
)
from steiner.questions.task import UNREADABLE_ANSWER, _task, problem_of, readable_questions
from steiner.recipe import QuestionsRecipe
from steiner.types import Split, UserError

ROWS = [{"question": f"What is {n} plus 1?", "answer": n + 1} for n in range(3)]
WANTED = [(f"What is {n} plus 1?", str(n + 1)) for n in range(3)]


def _write(path: Path) -> None:
    if path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps({"version": 1, "examples": ROWS}), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), path)
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            dialect = "excel-tab" if path.suffix == ".tsv" else "excel"
            writer = csv.DictWriter(file, ["question", "answer"], dialect=dialect)
            writer.writeheader()
            writer.writerows(ROWS)


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".tsv", ".parquet"])
def test_every_kind_of_file_has_the_same_questions(tmp_path: Path, suffix: str) -> None:
    _write(tmp_path / f"q{suffix}")
    found = read_questions(QuestionsRecipe(source=str(tmp_path / f"q{suffix}")))
    assert [(q.text, q.answer) for q in found.questions] == WANTED
    assert not found.dropped


def test_a_data_set_in_a_folder_is_read_as_the_hub_is(tmp_path: Path) -> None:
    folder = tmp_path / "owner" / "data"
    datasets.Dataset.from_list(ROWS).to_parquet(folder / "train.parquet")
    found = read_questions(QuestionsRecipe(source=str(folder)))
    assert [(q.text, q.answer) for q in found.questions] == WANTED


def test_bad_rows_are_counted_by_reason(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    lines = [
        '{"question": "A?", "answer": "1"}',
        '{"question": " a? ", "answer": "2"}',
        '{"question": "", "answer": "2"}',
        '{"question": "B?", "answer": null}',
        "{broken",
        "[1, 2]",
        '{"question": "C?", "answer": 3}',
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    found = read_questions(QuestionsRecipe(source=str(file)))
    assert [q.text for q in found.questions] == ["A?", "C?"]
    assert found.dropped == {DUPLICATE: 1, NO_QUESTION: 1, NO_ANSWER: 1, NOT_A_RECORD: 2}
    assert found.examples == {DUPLICATE: 2, NO_QUESTION: 3, NO_ANSWER: 4, NOT_A_RECORD: 5}
    assert found.num_rows == 7


def test_the_answer_is_cut_out_of_a_worked_solution(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    file.write_text('{"question": "A?", "answer": "So 1 + 1 = 2.\\n#### 2"}', encoding="utf-8")
    found = read_questions(QuestionsRecipe(source=str(file), answer_after="####"))
    assert found.questions == [Question("A?", "2", "So 1 + 1 = 2.", 1)]


def test_a_worked_solution_has_a_column_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    row = {"question": "A?", "answer": 2, "rationale": "So 1 + 1 = 2.", "why": "Count."}
    file.write_text(json.dumps(row), encoding="utf-8")
    for column, text in (("rationale", "So 1 + 1 = 2."), ("why", "Count.")):
        settings = QuestionsRecipe(source=str(file), rationale=column)
        assert read_questions(settings).questions == [Question("A?", "2", text, 1)]
    with pytest.raises(UserError, match="no column 'how'"):
        read_questions(QuestionsRecipe(source=str(file), rationale="how"))


def test_the_limit_is_one_of_training_questions(tmp_path: Path) -> None:
    """A trial on few questions of a file is still evaluated on all that are held out."""
    file, test = tmp_path / "many.jsonl", tmp_path / "test.jsonl"
    for path, offset in ((file, 0), (test, 1000)):
        rows = [{"question": f"What is {n + offset}?", "answer": str(n)} for n in range(300)]
        path.write_text("\n".join(map(json.dumps, rows)))
    whole = readable_questions(QuestionsRecipe(source=str(file))).questions
    settings = QuestionsRecipe(source=str(file), limit=20)
    limited = readable_questions(settings).questions
    by_split = {
        split: [q.text for q in limited if problem_of(q, "questions").split is split]
        for split in Split
    }
    train = [q.text for q in whole if problem_of(q, "questions").split is Split.TRAIN]
    assert by_split[Split.TRAIN] == train[:20]
    held_out = [q.text for q in whole if problem_of(q, "questions").split is not Split.TRAIN]
    assert held_out
    assert [q.text for q in limited if q.text not in train] == held_out
    task = _task(replace(settings, test=str(test)), "")
    assert len(task.generator.held_out(Split.TEST)) == 300


def test_answers_that_the_grader_cannot_read_are_dropped(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    rows = [{"question": "A?", "answer": "about 3"}, {"question": "B?", "answer": "3"}]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = readable_questions(QuestionsRecipe(source=str(file), grader="number"))
    assert [q.text for q in found.questions] == ["B?"]
    assert found.dropped == {UNREADABLE_ANSWER: 1}


def test_check_reports_counts_and_refused_answers(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    rows = [{"question": "A?", "answer": "about 3"}, {"question": "B?", "answer": "3"}]
    file.write_text("\n".join(map(json.dumps, [*rows, rows[1]])), encoding="utf-8")
    settings = QuestionsRecipe(source=str(file), grader="number")
    report = check_report(settings)
    assert "3 rows, 2 questions" in report
    assert "1 dropped: the same question as an earlier row (first: row 3)" in report
    assert "grader 'number': accepts 1 of 2 known answers" in report
    assert "row 1: about 3" in report
    assert "'number' needs one number and nothing else" in report
    assert "--set questions.answer_after='####'" in report
    assert "+ the grader accepts the known answer, - it does not" in report
    assert "no question is held out for its test" in report
    assert "held out" not in check_report(replace(settings, test=str(file)))


def test_check_counts_one_of_each_in_the_singular(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"question": "A?", "answer": "1"}', encoding="utf-8")
    report = check_report(QuestionsRecipe(source=str(tmp_path / "q.jsonl")))
    assert "q.jsonl: 1 row, 1 question\n" in report
    assert "1 word a question" in report
    assert "accepts 1 of 1 known answer\n" in report
    assert "hint: 'text'" not in report


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("q.jsonl", "", "no usable question"),
        ("q.jsonl", '{"q": "A?", "answer": 1}', "no column 'question'; its columns: q, answer"),
        ("q.json", '{"a": 1}', "no list of questions"),
        ("q.json", "{", "cannot read questions"),
        ("q.parquet", "no parquet", "cannot read questions"),
        ("q.xlsx", "x", "unknown kind of file '.xlsx'"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=says):
        read_questions(QuestionsRecipe(source=str(tmp_path / name)))


@pytest.mark.parametrize("name", ["nowhere.jsonl", "data/nowhere.jsonl", "a/b/c", "nowhere"])
def test_a_missing_file_is_one_clear_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("asked the network"))
    with pytest.raises(UserError, match=f"no file of questions {re.escape(name)}"):
        read_questions(QuestionsRecipe(source=name))


@pytest.mark.usefixtures("no_hub")
def test_an_unreachable_hub_is_asked_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(
        datasets, "load_dataset", lambda name, *_, **__: loaded.append(name) or ROWS
    )
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path)
    settings = QuestionsRecipe(source="owner/data")
    for read in (lambda: read_questions(settings), lambda: next(corpus_documents({"a/b": 1.0}))):
        with pytest.raises(UserError, match="Hub is out of reach: no connection"):
            read()
    assert not loaded
    (tmp_path / "owner___data").mkdir()
    assert len(read_questions(settings).questions) == len(ROWS)
    assert loaded == ["owner/data"]
