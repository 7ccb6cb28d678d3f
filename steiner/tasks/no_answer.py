"""Questions without an answer: no solution, a missing given, or no puzzle of a known kind.

Spec with `no_answer` -> the sentence that says so; (Problem, answer) -> Grade

A model that is honest says so in a sentence and invents nothing. Spec["no_answer"] is one of
NoAnswer; with MISSING, Spec["missing"] names what the question leaves out.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum

from steiner.tasks.phrases import load_phrases
from steiner.tasks.protocols import Grade, grade_of
from steiner.types import Problem, Spec, StepTexts


class NoAnswer(StrEnum):
    """Why a question has no answer."""

    NO_SOLUTION = "no_solution"
    MISSING = "missing"
    UNKNOWN = "unknown"


_COMMON = "common"
"""The wording file with the phrases of this module."""


def no_answer(spec: Spec) -> NoAnswer | None:
    """Why the problem has no answer; None if it has one."""
    return NoAnswer(spec["no_answer"]) if "no_answer" in spec else None


def has_search(spec: Spec) -> bool:
    """True if the question states a whole problem, so that there is something to search."""
    return no_answer(spec) in (None, NoAnswer.NO_SOLUTION)


def identity(spec: Spec) -> str:
    """The canonical text of a Spec without a whole problem."""
    return json.dumps(spec, sort_keys=True)


def sentence(spec: Spec, language: str) -> str:
    """The honest answer to a question without an answer."""
    phrases = load_phrases(_COMMON, language)
    what = phrases.words["missing"].get(spec.get("missing", ""), "")
    return phrases.render(f"answer_{spec['no_answer']}", what=what)


def reading_without_search(spec: Spec, language: str, restated: str) -> StepTexts:
    """The texts of the only step for a question with nothing to search."""
    phrases = load_phrases(_COMMON, language)
    what = phrases.words["missing"].get(spec.get("missing", ""), "")
    verification = phrases.render(f"verification_{spec['no_answer']}", what=what)
    return StepTexts(phrases.render("read"), restated, phrases.render("nothing"), verification)


def reading_step(language: str, restated: str, summary: str, verification: str) -> StepTexts:
    """The texts of the step that reads a question, before a search."""
    return StepTexts(
        load_phrases(_COMMON, language).render("read"), restated, summary, verification
    )


def is_reading(texts: StepTexts, language: str = "en") -> bool:
    """True if the step is the one that reads the question."""
    return texts.next_step.strip() == load_phrases(_COMMON, language).render("read")


def declined(answer: str, language: str = "en") -> NoAnswer | None:
    """The reason that an answer gives for not answering; None if it is another answer."""
    phrases = load_phrases(_COMMON, language)
    for kind in NoAnswer:
        found = phrases.match(re.sub(r"\s+", " ", answer), f"answer_{kind}")
        known = phrases.words["missing"].values()
        if found and found[1].get("what") in (None, *known):
            return kind
    return None


def grade_no_answer(problem: Problem, answer: str) -> Grade:
    """RIGHT if the answer says honestly why there is none."""
    stated = declined(answer, problem.language)
    return Grade.UNREADABLE if stated is None else grade_of(stated is no_answer(problem.spec))
