"""`steiner questions check`: what a file of questions holds, before anything is spent on it.

QuestionsRecipe -> text
"""

from __future__ import annotations

from collections import Counter
from statistics import mean

from steiner.progress import plural
from steiner.questions.graders import failures, grader_named
from steiner.questions.reading import Question, QuestionSet, read_questions
from steiner.questions.task import NO_TEST, accepted, problem_of
from steiner.recipe import QuestionsRecipe
from steiner.types import Split

_WANTED = {
    "number": "one number and nothing else",
    "choice": "one letter, such as B or (B)",
    "math": "one expression and nothing else",
    "regex": "a regular expression that can be compiled",
}
"""Grader -> the answers that it accepts."""
_SHOWN = 10
_LONGEST = 100


def check_report(settings: QuestionsRecipe) -> str:
    """Counts, what was dropped and why, the grader's view of the known answers, and ten questions.

    Raises UserError if the file cannot be read or has no usable question, or if the grader cannot
    be used.
    """
    found = read_questions(settings)
    before = failures()
    ok = accepted(found.questions, grader_named(settings), settings.name)
    failed = failures() - before
    splits = Counter(str(problem_of(q, settings.name).split) for q in found.questions)
    lengths = [len(question.text.split()) for question in found.questions]
    num_solutions = sum(bool(question.rationale) for question in found.questions)
    rows, questions = plural(found.num_rows, "row"), plural(len(found.questions), "question")
    lines = [
        f"{settings.source}: {rows}, {questions}",
        *_dropped(found),
        f"  {plural(round(mean(lengths)), 'word')} a question on average, {max(lengths)} at most",
        f"  {num_solutions:,} with a worked solution",
        "  " + ", ".join(f"{count:,} {name}" for name, count in sorted(splits.items())),
        *_missing_test(settings, splits),
        f"grader '{settings.grader}': accepts {sum(ok):,} of {plural(len(ok), 'known answer')}",
        *(f"  {count:,} not graded: {reason}" for reason, count in failed.items()),
        *_refused(found.questions, ok, settings.grader),
        "",
        "some questions; + the grader accepts the known answer, - it does not:",
        *_examples(found.questions, ok),
    ]
    return "\n".join(lines)


def _dropped(found: QuestionSet) -> list[str]:
    return [
        f"  {count:,} dropped: {reason} (first: row {found.examples[reason]})"
        for reason, count in found.dropped.items()
    ]


def _missing_test(settings: QuestionsRecipe, splits: Counter[str]) -> list[str]:
    if settings.test or splits[str(Split.TEST)]:
        return []
    return [
        "  warning: a run refuses these: no question is held out for its test",
        f"  hint: {NO_TEST}",
    ]


def _refused(questions: list[Question], ok: list[bool], grader: str) -> list[str]:
    refused = [q for q, is_right in zip(questions, ok, strict=True) if not is_right]
    shown = [f"  row {q.row}: {_short(q.answer)}" for q in refused[:5]]
    wanted = _WANTED.get(grader, "an answer that it accepts")
    hint = f"  hint: '{grader}' needs {wanted}: correct the answers, or choose another --grader"
    mark = "  hint: for answers at the end of a longer text: --set questions.answer_after='####'"
    return [*shown, hint, mark] if shown else []


def _examples(questions: list[Question], ok: list[bool]) -> list[str]:
    step = max(1, len(questions) // _SHOWN)
    chosen = list(zip(questions, ok, strict=True))[::step][:_SHOWN]
    return [
        f"{'+' if is_right else '-'} row {question.row}: {_short(question.text)}\n"
        f"    answer: {_short(question.answer)}"
        for question, is_right in chosen
    ]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
