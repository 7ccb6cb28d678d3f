"""Reads questions: from the command line, from standard input, or many from a file.

argument, stdin, file -> text, FileQuestions

A file has one question per line: {"question": "..."}, {"messages": [...]} or plain text. An object
may have an "id"; without one, the number of the line is the id. Other fields are ignored.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steiner.files import reason_and_hint
from steiner.types import Message, UserError

STDIN = "-"
_MAX_STDIN_BYTES = 1_000_000
_UTF8_HINT = "give text in UTF-8"
_LINE_HINT = '{"question": "..."}, {"messages": [{"role": "user", "content": "..."}]} or plain text'


@dataclass(frozen=True, slots=True)
class FileQuestion:
    """One line of a question file."""

    line: int
    """Counted from 1."""
    id: str | int
    messages: tuple[Message, ...]

    @property
    def text(self) -> str:
        """The last turn."""
        return self.messages[-1].content


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is not a question."""

    line: int
    error: UserError

    @property
    def id(self) -> int:
        """The number of the line, because its own id may be what is wrong."""
        return self.line


def read_question(argument: str) -> str:
    """The question of the command line; `-` reads standard input. Raises UserError."""
    question = (_read_stdin() if argument == STDIN else argument).strip()
    require_text(question, "the question")
    if not question:
        example = 'for example: steiner solve "Make 24 from 8, 4, 1."'
        raise UserError("the question is empty", example)
    return question


def require_text(text: str, name: str) -> None:
    """Raises UserError for bytes that Python could not decode and kept as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{name} is not UTF-8 text", _UTF8_HINT) from None


def is_question_file(path: Path, questions: Path) -> bool:
    """True if `path`, which exists, is the file `questions` or, for `-`, standard input."""
    if str(questions) != STDIN:
        return path.samefile(questions)
    try:
        return os.path.samestat(path.stat(), os.fstat(sys.stdin.fileno()))
    except OSError:  # standard input has no descriptor
        return False


def read_question_file(path: Path) -> list[FileQuestion | BadLine]:
    """All lines that are not blank. Raises UserError if the file has none or cannot be read."""
    name = "standard input" if str(path) == STDIN else str(path)
    content = sys.stdin.buffer.read() if str(path) == STDIN else _read_file(path)
    lines = _decode(content, name).split("\n")  # JSON may hold the other ends of str.splitlines
    questions = [_read_line(line, number) for number, line in enumerate(lines, 1) if line.strip()]
    if not questions:
        raise UserError(f"{name} has no questions", f"write one per line: {_LINE_HINT}")
    return questions


def _read_stdin() -> str:
    if sys.stdin.isatty():
        print("type the question, then Ctrl-D on a line of its own", file=sys.stderr)
    content = sys.stdin.buffer.read(_MAX_STDIN_BYTES + 1)
    if len(content) > _MAX_STDIN_BYTES:
        hint = "shorten it, or give many questions, one per line, with --file"
        raise UserError(f"standard input has more than {_MAX_STDIN_BYTES:,} bytes", hint)
    return _decode(content, "standard input")


def _read_file(path: Path) -> bytes:
    if path.is_dir():
        raise UserError(f"{path} is a folder", "give a file with one question per line")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        hint = "check the path; for a single question leave out --file"
        raise UserError(f"no file {path}", hint) from None
    except OSError as error:
        reason, hint = reason_and_hint(error)
        raise UserError(f"cannot read {path}: {reason}", hint) from error


def _decode(content: bytes, name: str) -> str:
    """The text of `content`. Raises UserError if it is binary."""
    if b"\0" in content:
        raise UserError(f"{name} is binary, not text", _UTF8_HINT)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{name} is not UTF-8 text: byte {error.start:,} is 0x{content[error.start]:02x}"
        raise UserError(message, _UTF8_HINT) from None


def _read_line(line: str, number: int) -> FileQuestion | BadLine:
    try:
        return _parse_line(line.strip(), number)
    except UserError as error:
        return BadLine(number, error)


def _parse_line(line: str, number: int) -> FileQuestion:
    """Parses one line. Raises UserError."""
    if not line.startswith(("{", "[")):
        return FileQuestion(number, number, (Message("user", line),))
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        message = f"not valid JSON: {error.msg} at character {error.pos + 1}"
        raise UserError(message, f"write {_LINE_HINT}") from None
    if not isinstance(record, dict):
        raise UserError("a JSON list, not an object", f"write each line as {_LINE_HINT}")
    identifier = record.get("id", number)
    if isinstance(identifier, bool) or not isinstance(identifier, str | int):
        raise UserError("'id' is neither text nor a whole number", "leave it out, or change it")
    return FileQuestion(number, identifier, _messages(record))


def _messages(record: dict[str, Any]) -> tuple[Message, ...]:
    question, messages = record.get("question"), record.get("messages")
    if (question is None) == (messages is None):
        both = "both 'question' and 'messages'" if question else "neither 'question' nor 'messages'"
        raise UserError(f"the object has {both}", f"write {_LINE_HINT}")
    if isinstance(question, str):
        return (Message("user", question),)
    if question is not None:
        raise UserError("'question' is not text", f"write {_LINE_HINT}")
    if not isinstance(messages, list) or not messages:
        raise UserError("'messages' is not a list of turns", f"write {_LINE_HINT}")
    return tuple(map(_message, messages))


def _message(turn: Any) -> Message:
    role, content = (turn.get("role"), turn.get("content")) if isinstance(turn, dict) else (0, 0)
    if not isinstance(role, str) or not isinstance(content, str):
        raise UserError("a turn without text in 'role' and 'content'", f"write {_LINE_HINT}")
    return Message(role, content)
