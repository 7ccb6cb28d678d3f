"""Reads questions with known answers from a file or a Hub data set.

QuestionsRecipe -> QuestionSet

Files: JSON lines, JSON (a list, or an object with one list), CSV, TSV and Parquet, by their ending.
Rows that cannot be used are counted by reason, and the first of each reason is kept as an example.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steiner.files import file_digest, reason_and_hint
from steiner.hub_access import HUB_NAME, check_data_set
from steiner.questions.written import canonical_question
from steiner.recipe import RATIONALE, QuestionsRecipe
from steiner.types import Split, UserError, problem_key, reason_of, split_of

Row = Mapping[str, Any]

NO_QUESTION = "no question"
NO_ANSWER = "no answer"
DUPLICATE = "the same question as an earlier row"
NOT_A_RECORD = "not a record"


@dataclass(frozen=True, slots=True)
class Question:
    """A question, its known answer, and a worked solution where the data have one."""

    text: str
    answer: str
    rationale: str = ""
    row: int = 0
    """Number of the row in its source, from 1."""


@dataclass(slots=True)
class QuestionSet:
    """The usable questions of a source, and what was dropped."""

    source: str
    questions: list[Question] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    """Reason -> number of rows."""
    examples: dict[str, int] = field(default_factory=dict)
    """Reason -> the first row that was dropped for it."""

    @property
    def num_rows(self) -> int:
        """Rows of the source."""
        return len(self.questions) + self.dropped.total()

    def drop(self, reason: str, row: int) -> None:
        """Counts a row as dropped."""
        self.dropped[reason] += 1
        self.examples.setdefault(reason, row)


def read_questions(settings: QuestionsRecipe) -> QuestionSet:
    """The questions of `settings.source`, in their order: all that are held out, and of the others
    the first `settings.limit`. Raises UserError if the source cannot be read, lacks a column, or
    has no usable question."""
    found = QuestionSet(settings.source)
    seen: set[str] = set()
    num_train = 0
    for number, row in enumerate(_rows(settings), start=1):
        if not isinstance(row, Mapping):
            found.drop(NOT_A_RECORD, number)
            continue
        if number == 1:
            _require_columns(settings, row)
        question = _question(settings, row, number)
        same = canonical_question(question.text)
        if not question.text:
            found.drop(NO_QUESTION, number)
        elif not question.answer:
            found.drop(NO_ANSWER, number)
        elif same in seen:
            found.drop(DUPLICATE, number)
        else:
            seen.add(same)
            is_train = split_of(problem_key(settings.name, same)) is Split.TRAIN
            num_train += is_train
            if not (is_train and 0 < settings.limit < num_train):
                found.questions.append(question)
    if not found.questions:
        counts = ", ".join(f"{count} with {reason}" for reason, count in found.dropped.items())
        raise UserError(
            f"{settings.source} has no usable question" + (f": {counts}" if counts else ""),
            "each row needs a question and an answer; name their columns with "
            "questions.question and questions.answer",
        )
    return found


def source_digest(settings: QuestionsRecipe) -> str:
    """A hash of the file's content; the name itself for a data set on the Hub."""
    return file_digest(Path(settings.source)) or settings.source


def _question(settings: QuestionsRecipe, row: Row, number: int) -> Question:
    answer = _text(row.get(settings.answer))
    rationale = _text(row.get(settings.rationale))
    if settings.answer_after:
        before, found, after = answer.rpartition(settings.answer_after)
        answer = after.strip() if found else ""
        rationale = rationale or before.strip()
    return Question(_text(row.get(settings.question)), answer, rationale, number)


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _require_columns(settings: QuestionsRecipe, row: Row) -> None:
    for key in ("question", "answer", "rationale"):
        name = getattr(settings, key)
        if name not in row and name != RATIONALE:
            columns = ", ".join(map(str, row)) or "none"
            raise UserError(
                f"{settings.source} has no column '{name}'; its columns: {columns}",
                f"name the column with --set questions.{key}=COLUMN",
            )


def _rows(settings: QuestionsRecipe) -> Iterator[Any]:
    path = Path(settings.source)
    if not path.is_file():
        return _hub_rows(settings)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(_READERS)
        raise UserError(f"{path}: unknown kind of file '{path.suffix}'", f"one of: {known}")
    return _readable(path, reader)


def _readable(path: Path, reader: Callable[[Path], Iterator[Any]]) -> Iterator[Any]:
    try:
        yield from reader(path)
    except UserError:
        raise
    except (OSError, ValueError, csv.Error) as error:
        reason, hint = reason_and_hint(error, f"check that the content is {path.suffix}, in UTF-8")
        raise UserError(f"cannot read questions from {path}: {reason}", hint) from error


def _json_lines(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            if line.strip():
                try:
                    yield json.loads(line)
                except ValueError:
                    yield None  # counted as not a record


def _json(path: Path) -> Iterator[Any]:
    content = json.loads(path.read_text(encoding="utf-8-sig"))
    lists = [content] if isinstance(content, list) else []
    if isinstance(content, dict):
        lists = [value for value in content.values() if isinstance(value, list)]
    if len(lists) != 1:
        raise UserError(
            f"{path} holds no list of questions", "give a JSON list, or an object with one list"
        )
    yield from lists[0]


def _csv(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file, dialect="excel-tab" if path.suffix == ".tsv" else "excel")


def _parquet(path: Path) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches():
            yield from batch.to_pylist()


_READERS: Mapping[str, Callable[[Path], Iterator[Any]]] = {
    ".jsonl": _json_lines,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
}


def _hub_rows(settings: QuestionsRecipe) -> Iterator[Any]:
    source = settings.source
    is_folder = Path(source).is_dir()
    is_name = HUB_NAME.fullmatch(source) and Path(source).suffix.lower() not in _READERS
    if not (is_folder or is_name):
        hint = "give a file, or owner/name of a data set on the Hugging Face Hub"
        raise UserError(f"no file of questions {source}", hint)
    if not is_folder:
        check_data_set(source)
    from datasets import load_dataset

    try:
        rows = load_dataset(source, settings.hub_config or None, split=settings.hub_split)
    except Exception as error:  # the library raises many kinds, some of its dependencies
        reason = reason_of(error)
        raise UserError(
            f"cannot load the data set {source}: {reason}",
            "check questions.hub_config and questions.hub_split",
        ) from error
    yield from rows
