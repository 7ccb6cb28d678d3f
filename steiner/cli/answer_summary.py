"""What came of a question: votes, the check of the answer, the tree, the counts.

Answer -> lines of text
"""

from __future__ import annotations

from collections.abc import Iterator

from steiner.cli.style import Style
from steiner.inference.answer import STOP_NOTES, Answer
from steiner.inference.tree_drawing import draw, legend, one_line

_HEADING_WIDTH = 9


def ending(answer: Answer, style: Style) -> Iterator[str]:
    """All lines of it."""
    if answer.votes:
        yield from _votes(answer, style)
    if not answer.votes and not answer.text:
        yield ""
        yield heading("answer", style) + style.paint("(nothing)", "dim")
    yield heading("checked", style) + _verdict(answer, style)
    yield ""
    yield from draw(
        answer.tree, answer.steps, glyphs=style.glyphs, width=style.width, paint=style.paint_mark
    )
    yield ""
    yield legend(answer.tree, glyphs=style.glyphs, paint=style.paint_mark)
    yield style.paint(_counts(answer, style), "dim")


def heading(name: str, style: Style) -> str:
    """The name of what follows in the line."""
    return style.paint(f"{name:<{_HEADING_WIDTH}}", "dim")


def counted(number: int, noun: str) -> str:
    """A number and what it counts."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _votes(answer: Answer, style: Style) -> Iterator[str]:
    total = len(answer.rollouts)
    yield ""
    for index, vote in enumerate(answer.votes):
        name = heading("" if index else "votes", style)
        yield f"{name}{vote.count:>2} of {total}  {one_line(vote.answer)}"
    yield heading("answer", style) + style.paint(one_line(answer.text), "bold")


def _verdict(answer: Answer, style: Style) -> str:
    if answer.problem is None:
        told = "no: the question fits no problem family, so nothing checks the answer"
        return style.paint(told, "dim")
    word, colour = ("right", "green") if answer.accepted else ("wrong", "red")
    family = answer.problem.family.replace("_", " ")
    return style.paint(word, colour, "bold") + style.paint(f" ({family})", "dim")


def _counts(answer: Answer, style: Style) -> str:
    usage = answer.usage
    tokens = (
        f"{usage.prompt_tokens:,} question, {usage.reasoning_tokens:,} reasoning, "
        f"{usage.answer_tokens:,} answer"
    )
    parts = [
        counted(len(answer.steps), "step"),
        counted(answer.tree.num_backtracks, "backtrack"),
        f"tokens: {tokens}",
    ]
    if note := STOP_NOTES.get(answer.stop_reason):
        parts.append(note)
    return style.dot.join(parts)
