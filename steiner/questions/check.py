"""`steiner questions check`: what a file of questions holds, before anything is spent on it.

QuestionsRecipe -> text
"""

from __future__ import annotations

from collections import Counter
from statistics import mean

from steiner.questions.graders import failures, grader_named
from steiner.questions.reading import Question, QuestionSet, read_questions
from steiner.questions.task import accepted, problem_of
from steiner.recipe import QuestionsRecipe

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
    lines = [
        f"{settings.source}: {found.num_rows:,} rows, {len(found.questions):,} questions",
        *_dropped(found),
        f"  {mean(lengths):.0f} words a question on average, {max(lengths)} at most",
        f"  {num_solutions:,} with a worked solution",
        "  " + ", ".join(f"{count:,} {name}" for name, count in sorted(splits.items())),
        f"grader '{settings.grader}': accepts {sum(ok):,} of {len(ok):,} known answers",
        *(f"  {count:,} not graded: {reason}" for reason, count in failed.items()),
        *_refused(found.questions, ok),
        "",
        *_examples(found.questions, ok),
    ]
    return "\n".join(lines)


def _dropped(found: QuestionSet) -> list[str]:
    return [
        f"  {count:,} dropped: {reason} (first: row {found.examples[reason]})"
        for reason, count in found.dropped.items()
    ]


def _refused(questions: list[Question], ok: list[bool]) -> list[str]:
    refused = [q for q, is_right in zip(questions, ok, strict=True) if not is_right]
    shown = [f"  row {q.row}: {_short(q.answer)}" for q in refused[:5]]
    hint = "  hint: questions.answer_after cuts the answer out of a longer text; see --help"
    return [*shown, hint] if shown else []


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
