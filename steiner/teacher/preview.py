"""`steiner synth --preview`: what the teacher makes of some questions, and what all would cost.

Recipe -> text; replies go into the run's cache, so the run does not ask again
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from steiner.progress import plural, progress
from steiner.questions.task import register_questions
from steiner.recipe import Recipe
from steiner.teacher.cache import CachedTeacher, Ledger
from steiner.teacher.synthesis import (
    Explored,
    cache_file,
    dag_of,
    explore,
    requests_per_question,
    teacher_of,
    training_questions,
)
from steiner.types import Status, UserError

_LONGEST = 90


def preview(recipe: Recipe, run_dir: Path, count: int) -> str:
    """The preview of the first `count` training questions. Raises UserError without questions."""
    if not recipe.questions.source:
        raise UserError("a preview is of own questions", "give --questions FILE")
    register_questions(recipe)
    questions = training_questions(recipe)
    some, settings = questions[:count], recipe.teacher
    with (
        CachedTeacher(teacher_of(settings, run_dir), settings, cache_file(run_dir)) as teacher,
        progress("preview", len(some) * requests_per_question(settings), "reply") as advance,
    ):
        explored = explore(some, settings, lambda requests: teacher.ask(requests, advance))
        ledger = teacher.ledger
    counts = sum((one.builder.counts for one in explored), Counter[str]())
    lines = [line for one in explored for line in _lines(one)]
    lines += ["", *(f"{n:,} {name}" for name, n in counts.items() if n)]
    lines += [f"teacher: {ledger.line()}", _forecast(ledger, len(some), len(questions))]
    return "\n".join(lines)


def _lines(one: Explored) -> list[str]:
    """The question, its DAG in figures, and the steps of its first solution."""
    question = " ".join(one.question.text.split())[:_LONGEST]
    dag = dag_of(one)
    if dag is None:
        return [f"- {question}", "    no solution"]
    dead = sum(node.status is Status.DEAD for node in dag.nodes)
    shared = sum(node.in_degree > 1 for node in dag.nodes)
    lines = [f"+ {question}", f"    {plural(len(dag.nodes), 'node')}, {dead} dead, {shared} shared"]
    lines += [f"    {step.summary[:_LONGEST]}" for step in one.solutions[0].steps]
    return lines


def _forecast(ledger: Ledger, some: int, everything: int) -> str:
    """Estimates the tokens and price of all questions from a few."""
    scale = everything / max(1, some)
    prompt, completion = ledger.prompt_tokens * scale, ledger.completion_tokens * scale
    text = f"all {plural(everything, 'question')}: about {prompt:,.0f} + {completion:,.0f} tokens"
    if ledger.price:
        return f"{text}, cost {ledger.price * scale:.2f}"
    return f"{text}; set teacher.price_in and teacher.price_out for the cost"
