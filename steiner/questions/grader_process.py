"""The process behind `ProcessGrader`: reads one JSON request a line, writes one JSON grade a line.

Started by graders.py:

    python -m steiner.questions.grader_process math
    python -m steiner.questions.grader_process regex
    python -m steiner.questions.grader_process my_grader.py
"""

from __future__ import annotations

import json
import os
import re
import runpy
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, TextIO

GradingRequest = dict[str, Any]


def main() -> None:
    """Grades until stdin ends. What a grader prints goes to stderr."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        grade = _grade_function(sys.argv[1])
    except BaseException as error:
        _reply(replies, {"error": f"{type(error).__name__}: {error}"})
        return
    _reply(replies, {"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            right = bool(grade(request))
        except Exception as error:
            print(f"grader: {type(error).__name__}: {error}", file=sys.stderr)
            _reply(replies, {"right": None})
        else:
            _reply(replies, {"right": right})


def _reply(replies: TextIO, record: dict[str, Any]) -> None:
    replies.write(json.dumps(record) + "\n")
    replies.flush()


def _grade_function(program: str) -> Callable[[GradingRequest], bool]:
    if program == "math":
        import math_verify  # noqa: F401  # where it is missing, the grader fails at once

        return _equal_mathematically
    if program == "regex":
        return _matches
    if program.startswith("gym:"):
        import reasoning_gym  # noqa: F401

        return partial(_gym_score_is_full, program.removeprefix("gym:"))
    found = runpy.run_path(program).get("grade")
    if not callable(found):
        raise TypeError("the file defines no function `grade`")
    return lambda request: found(request["question"], request["answer"], request["known"])


def _equal_mathematically(request: GradingRequest) -> bool:
    """True if math-verify finds the two expressions equal."""
    from math_verify import parse, verify

    return bool(verify(parse(_as_latex(request["known"])), parse(_as_latex(request["answer"]))))


def _matches(request: GradingRequest) -> bool:
    """True if the known answer, a regular expression, matches the whole answer."""
    return re.fullmatch(request["known"], request["answer"].strip()) is not None


def _gym_score_is_full(name: str, request: GradingRequest) -> bool:
    """True if reasoning-gym's scorer gives 1.0; `item` is (seed, index) of the data set."""
    from steiner.questions.gym import gym_data

    seed, index = request["item"]
    data = gym_data(name, seed)
    return bool(data.score_answer(request["answer"], data[index]) == 1.0)


def _as_latex(text: str) -> str:
    return text if "$" in text or "\\boxed" in text else f"${text}$"


if __name__ == "__main__":
    main()
