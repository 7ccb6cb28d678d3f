"""Graders of own questions by name: text, number, choice, math, regex, or a Python file.

QuestionsRecipe -> Grader

`math`, `regex` and Python files run in a process of their own with a time limit, since they work
on text that a model wrote: an answer that makes them hang or crash is wrong and counted, and the
run continues.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import re
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from steiner.recipe import QuestionsRecipe
from steiner.tasks.graders import ExactText, MultipleChoice, Number, UnreadableAnswer
from steiner.tasks.protocols import Grade, Grader, grade_of
from steiner.types import Problem, UserError

NAMES = ("text", "number", "choice", "math", "regex")
_TIME_LIMIT_S = 10.0
_START_LIMIT_S = 60.0


def grader_named(settings: QuestionsRecipe) -> Grader:
    """The grader that `settings.grader` names. Raises UserError if there is none."""
    name = settings.grader
    if name == "text":
        return ExactText()
    if name == "number":
        return Number(settings.tolerance)
    if name == "choice":
        return MultipleChoice()
    if name == "regex":
        return RegularExpression()
    if name == "math":
        return ProcessGrader("math")
    if name.endswith(".py"):
        if not Path(name).is_file():
            raise UserError(f"no grader file {name}", "give the path of a Python file")
        return ProcessGrader(str(Path(name).resolve()))
    raise UserError(f"unknown grader '{name}'", f"one of: {', '.join(NAMES)}, or a .py file")


@dataclass(frozen=True, slots=True)
class RegularExpression:
    """Right if the known answer, a regular expression, matches the whole answer."""

    time_limit_s: float = _TIME_LIMIT_S

    def grade(self, problem: Problem, answer: str) -> Grade:
        """UNREADABLE if the answer is empty, or if matching takes too long. Raises
        UnreadableAnswer for a bad expression."""
        pattern = str(problem.spec["answer"])
        try:
            re.compile(pattern)
        except re.error as error:
            raise UnreadableAnswer(f"'{pattern}' is no regular expression: {error}") from error
        return ProcessGrader("regex", self.time_limit_s).grade(problem, answer)


@dataclass(frozen=True, slots=True)
class ProcessGrader:
    """Grades in another process: `program` is "math", "regex", "gym:NAME" for reasoning-gym's own
    scorer, or a file that defines `grade(question: str, answer: str, known: str) -> bool`."""

    program: str
    time_limit_s: float = _TIME_LIMIT_S

    def grade(self, problem: Problem, answer: str) -> Grade:
        """UNREADABLE if the answer is empty, or if grading it fails or takes too long, which
        `failures` counts. Raises UserError if the program cannot be used at all."""
        if not answer.strip():
            return Grade.UNREADABLE
        spec = problem.spec
        request = {
            "question": spec["question"],
            "answer": answer,
            "known": spec["answer"],
            "item": spec.get("item"),
        }
        return grade_of(_process(self.program).ask(request, self.time_limit_s))


_FAILURES: Counter[str] = Counter()


def failures() -> Counter[str]:
    """Answers that a grader could not grade in this process so far, by program and reason."""
    return _FAILURES.copy()


@cache
def _process(program: str) -> _GraderProcess:
    return _GraderProcess(program)


class _GraderProcess:
    """A Python process that grades one answer a line; started again after a crash or a timeout."""

    def __init__(self, program: str) -> None:
        self._program, self._lock = program, threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._timed_out = False
        atexit.register(self._stop)

    def ask(self, request: dict[str, Any], limit_s: float) -> bool | None:
        """The grade; None without one. Raises UserError if the program cannot be used at all."""
        with self._lock:
            try:
                process = self._started()
                assert process.stdin is not None
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
                reply = self._line(limit_s)
            except (OSError, ValueError):
                reply = None
            if reply is None:
                self._count("no grade in time" if self._timed_out else "the grader crashed")
                self._stop()
                return None
            found = json.loads(reply)["right"]
            if not isinstance(found, bool):
                self._count("the grader raised an error")
                return None
            return found

    def _count(self, reason: str) -> None:
        _FAILURES[f"{Path(self._program).name}: {reason}"] += 1

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, "-m", "steiner.questions.grader_process", self._program]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
            )
            first = self._line(_START_LIMIT_S)
            ready = json.loads(first) if first else {"error": "it does not start"}
            if "error" in ready:
                self._stop()
                hint = "it must define grade(question, answer, known) -> bool"
                if self._program == "math":
                    hint = "pip install 'steiner[questions]'"
                raise UserError(f"the grader {self._program} fails: {ready['error']}", hint)
        return self._process

    def _line(self, limit_s: float) -> str | None:
        """The next line of the process; None if none comes in time."""
        process, found = self._process, [""]
        assert process is not None
        output = process.stdout
        assert output is not None

        def read() -> None:
            found[0] = output.readline()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(limit_s)
        self._timed_out = reader.is_alive()
        if self._timed_out:
            process.kill()
            reader.join()
            return None
        return found[0] or None

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            self._process = None
