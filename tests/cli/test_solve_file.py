"""`steiner solve --file`: many questions in one batch, answers in the order of the file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from steiner.cli.question_input import BadLine, FileQuestion, read_question_file
from steiner.types import Message, SearchPath
from tests.cli.conftest import Solve

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes lines, given as text or as records, to a file of questions."""

    def write_lines(*lines: str | dict[str, Any]) -> Path:
        path = tmp_path / "questions.jsonl"
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.write_text("\n".join(texts) + "\n", encoding="utf-8")
        return path

    return write_lines


def _records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_answers_are_in_the_order_of_the_file(
    solve: Solve, write: Write, question: str, known_path: SearchPath
) -> None:
    greeting = {"role": "user", "content": "Hello"}
    turns = [greeting, {"role": "assistant", "content": "Hello."}]
    path = write(
        {"id": "first", "question": question, "difficulty": "easy"},
        {"messages": [*turns, {"role": "user", "content": "Who are you?"}]},
        "",
        question,
    )
    done = solve("--file", path, "--max-tokens", "300")
    records = _records(done.stdout)
    assert done.exit_code == 0
    assert [record["id"] for record in records] == ["first", 2, 4]
    assert [record["question"] for record in records] == [question, "Who are you?", question]
    assert records[0]["answer"] == records[2]["answer"] == known_path.answer
    assert [record["accepted"] for record in records] == [True, None, True]
    assert records[0]["steps"] == records[2]["steps"]
    assert done.stderr == "3 questions: 2 right, 0 wrong, 1 not verified, 0 refused\n"


def test_answer_in_a_batch_is_the_answer_alone(solve: Solve, write: Write, question: str) -> None:
    alone = json.loads(solve(question, "--json").stdout)
    in_batch = _records(solve("--file", write("Who are you?", question)).stdout)[1]
    assert in_batch == {"id": 2, "question": question, **alone}


def test_samples_vote_within_each_question(
    solve: Solve, write: Write, question: str, known_path: SearchPath
) -> None:
    path = write(question, question)
    options = ("--samples", "3", "--temperature", "0.1")
    for record in _records(solve("--file", path, *options).stdout):
        assert record["votes"][0]["count"] == 3
        assert record["answer"] == known_path.answer


BAD_LINES = {
    '{"question": ': "not valid JSON: Expecting value at character 13",
    '["a", "b"]': "a JSON list, not an object",
    '{"text": "Who?"}': "the object has neither 'question' nor 'messages'",
    '{"question": "a", "messages": []}': "the object has both 'question' and 'messages'",
    '{"question": 3}': "'question' is not text",
    '{"question": ""}': "the question is empty",
    '{"messages": "Who?"}': "'messages' is not a list of turns",
    '{"messages": []}': "'messages' is not a list of turns",
    '{"messages": ["Who?"]}': "a turn without text in 'role' and 'content'",
    '{"messages": [{"role": "user"}]}': "a turn without text in 'role' and 'content'",
    '{"messages": [{"role": "robot", "content": "a"}]}': "unknown role 'robot'",
    '{"messages": [{"role": "assistant", "content": "a"}]}': "does not end with a user's turn",
    '{"question": "Who?", "id": 1.5}': "'id' is neither text nor a whole number",
    "Who? " * 3000: "the dialogue takes",
}


def test_bad_lines_are_reported_with_their_numbers_and_the_others_run(
    solve: Solve, write: Write, question: str, known_path: SearchPath
) -> None:
    done = solve("--file", write(*BAD_LINES, question))
    *bad, last = _records(done.stdout)
    assert done.exit_code == 2
    assert last["answer"] == known_path.answer
    for number, (record, error) in enumerate(zip(bad, BAD_LINES.values(), strict=True), 1):
        assert (record["id"], record["line"]) == (number, number)
        assert error in record["error"]
        assert f"error: line {number}: {record['error']}\nhint: " in done.stderr
    total = len(BAD_LINES) + 1
    counts = f"1 right, 0 wrong, 0 not verified, {total - 1} refused"
    assert f"{total} questions: {counts}\n" in done.stderr
    assert f"error: no answer for {total - 1} of {total} lines\nhint: " in done.stderr


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "no file"),
        (b"", "has no questions"),
        (b"\n \n", "has no questions"),
        (b"Who?\ncaf\xe9", "is not UTF-8 text: byte 8 is 0xe9"),
        (b"\x7fELF\0\0", "is binary, not text"),
    ],
)
def test_unusable_file_is_one_line_and_a_hint(
    content: bytes | None, line: str, solve: Solve, tmp_path: Path
) -> None:
    path = tmp_path / "questions"
    if content is not None:
        path.write_bytes(content)
    done = solve("--file", path)
    first, second = done.stderr.splitlines()
    assert (done.exit_code, done.stdout) == (2, "")
    assert first.startswith("error: ")
    assert str(path) in first
    assert line in first
    assert second.startswith("hint: ")


def test_folder_is_no_file_of_questions(solve: Solve, tmp_path: Path) -> None:
    assert f"error: {tmp_path} is a folder\n" in solve("--file", tmp_path).stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [(["Who?"], "both a question and --file"), (["--json", "--stream"], "not for --file")],
)
def test_options_for_one_question_do_not_go_with_a_file(
    arguments: list[str], line: str, solve: Solve, write: Write
) -> None:
    done = solve("--file", write("Who?"), *arguments)
    assert done.exit_code == 2
    assert line in done.stderr


def test_output_is_written_and_never_over_the_questions(
    solve: Solve, write: Write, question: str, known_path: SearchPath, tmp_path: Path
) -> None:
    path = write(question)
    refused = solve("--file", path, "--output", path)
    assert "--output would overwrite the questions" in refused.stderr
    assert path.read_text() == f"{question}\n"
    done = solve("--file", path, "--output", tmp_path / "answers.jsonl")
    assert done.stdout == ""
    assert _records((tmp_path / "answers.jsonl").read_text())[0]["answer"] == known_path.answer


def test_output_is_never_written_over_the_questions_of_standard_input(
    solve: Solve, write: Write, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(question)
    with path.open(encoding="utf-8") as questions:
        monkeypatch.setattr("sys.stdin", questions)
        refused = solve("--file", "-", "--output", path)
    assert f"--output would overwrite the questions in {path}" in refused.stderr
    assert path.read_text() == f"{question}\n"


def test_dash_reads_the_questions_from_standard_input(
    solve: Solve,
    question: str,
    known_path: SearchPath,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = io.BytesIO(f"{question}\n{question}\n".encode())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(content, encoding="utf-8"))
    (tmp_path / "answers.jsonl").write_text("an earlier answer\n")
    solve("--file", "-", "--output", tmp_path / "answers.jsonl")
    records = _records((tmp_path / "answers.jsonl").read_text())
    assert [record["answer"] for record in records] == [known_path.answer] * 2


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    questions = ["a\u2028b", "a\u0085b", "a\u2029b"]
    lines = [json.dumps({"question": text}, ensure_ascii=False) for text in questions]
    (tmp_path / "file").write_bytes("\r\n".join([*lines, "plain\ftext", ""]).encode())
    found = read_question_file(tmp_path / "file")
    assert [each.line for each in found] == [1, 2, 3, 4]
    texts = [each.text for each in found if isinstance(each, FileQuestion)]
    assert texts == [*questions, "plain\ftext"]


def test_lines_are_parsed_with_their_numbers(write: Write) -> None:
    path = write("Who?", "", {"question": "Where?", "id": 7}, "{")
    who, where, bad = read_question_file(path)
    assert who == FileQuestion(1, 1, (Message("user", "Who?"),))
    assert where == FileQuestion(3, 7, (Message("user", "Where?"),))
    assert isinstance(bad, BadLine)
    assert bad.line == 4
