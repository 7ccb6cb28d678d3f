"""Answers the questions of a file in one batch and writes JSON lines in the order of the file.

FileQuestions, SolveOptions -> one JSON object per line

    steiner solve --file questions.jsonl --output answers.jsonl

A question that cannot be used gets a line with "error" and a message on stderr; the others still
run. The error for all of them is raised at the end.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from steiner.cli.interrupts import noticed_interrupts
from steiner.cli.json_output import answer_json
from steiner.cli.question_input import BadLine, FileQuestion
from steiner.progress import plural
from steiner.types import SteinerError, UserError

if TYPE_CHECKING:
    from steiner.inference.questions import SolveOptions
    from steiner.inference.reasoner import PreparedQuestion, Reasoner

FileLine = FileQuestion | BadLine
AnswerRecord = dict[str, Any]


def solve_file(
    lines: Sequence[FileLine],
    options: SolveOptions,
    reasoner: Reasoner,
    output: TextIO,
) -> None:
    """Answers all questions.

    Raises UserError at the end if a line was bad, and KeyboardInterrupt on Ctrl-C; both say how
    many questions were answered.
    """
    records: dict[int, AnswerRecord] = {}
    prepared: dict[int, PreparedQuestion] = {}
    for index, line in enumerate(lines):
        try:
            prepared[index] = _prepare(line, options, reasoner)
        except SteinerError as error:
            records[index] = _error_record(line, error)
    with noticed_interrupts() as interrupted, _progress(len(lines), output) as write:
        _answer_all(lines, prepared, records, reasoner, write, interrupted)
    _print_summary(list(records.values()))


def _prepare(line: FileLine, options: SolveOptions, reasoner: Reasoner) -> PreparedQuestion:
    """Checks and encodes the question of one line. Raises UserError."""
    if isinstance(line, BadLine):
        raise line.error
    return reasoner.prepare(line.messages, **options)


def _error_record(line: FileLine, error: SteinerError) -> AnswerRecord:
    print(f"error: line {line.line}: {error}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    return {"id": line.id, "line": line.line, "error": str(error)}


def _answer_all(
    lines: Sequence[FileLine],
    prepared: dict[int, PreparedQuestion],
    records: dict[int, AnswerRecord],
    reasoner: Reasoner,
    write: Callable[[AnswerRecord], None],
    interrupted: Callable[[], bool],
) -> None:
    """Adds an answer to `records` for each prepared question; writes all records in order."""
    num_written = 0

    def write_finished() -> None:
        nonlocal num_written
        while num_written in records:
            write(records[num_written])
            num_written += 1

    def stop_if_interrupted() -> None:
        if interrupted():
            raise KeyboardInterrupt(f"{num_written} of {len(lines)} lines are written")

    write_finished()
    places = list(prepared)
    batch = reasoner.solve_batch(list(prepared.values()), on_step=stop_if_interrupted)
    with closing(batch):
        for number, answer in batch:
            line = lines[places[number]]
            question = line.text if isinstance(line, FileQuestion) else ""
            records[places[number]] = {"id": line.id, "question": question, **answer_json(answer)}
            write_finished()


@contextmanager
def _progress(total: int, output: TextIO) -> Iterator[Callable[[AnswerRecord], None]]:
    """Yields a function that writes one record; a terminal shows a progress bar on stderr."""
    from tqdm import tqdm

    with tqdm(
        total=total, unit="question", file=sys.stderr, disable=not sys.stderr.isatty()
    ) as bar:

        def write(record: AnswerRecord) -> None:
            with tqdm.external_write_mode(file=output):
                print(json.dumps(record, ensure_ascii=False), file=output, flush=True)
            bar.update()

        yield write


def _print_summary(records: Sequence[AnswerRecord]) -> None:
    """Prints the counts on stderr. Raises UserError if a line has no answer."""
    grades = {True: "right", False: "wrong", None: "not verified"}
    counts = Counter(
        "refused" if "error" in record else grades[record["accepted"]] for record in records
    )
    shown = ", ".join(f"{counts[name]:,} {name}" for name in (*grades.values(), "refused"))
    print(f"{plural(len(records), 'question')}: {shown}", file=sys.stderr)
    if counts["refused"]:
        message = f"no answer for {counts['refused']:,} of {plural(len(records), 'line')}"
        raise UserError(message, "the messages above name each line and its fault")
