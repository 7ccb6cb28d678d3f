"""The summary of an answer: votes, verification, the search tree and the counts.

Answer -> lines of text
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from steiner.cli.style import Style
from steiner.cli.text_column import fill
from steiner.inference.answer import STOP_NOTES, Answer
from steiner.inference.search_tree import Mark
from steiner.inference.tree_drawing import MEANINGS, draw, one_line
from steiner.progress import plural

HEADING_WIDTH = 9


def summary_lines(answer: Answer, style: Style) -> Iterator[str]:
    """All lines of the summary."""
    if answer.votes:
        yield from _votes(answer, style)
    elif not answer.text:
        yield ""
        yield heading("answer", style) + style.dim("(nothing)")
    if note := STOP_NOTES.get(answer.stop_reason):
        yield from _headed("stopped", note, lambda text: style.paint(text, "yellow"), style)
    if answer.step_limit is not None and not answer.accepted:
        note = f"by the limit of {plural(answer.step_limit, 'step')}"
        yield from _headed("stopped", note, lambda text: style.paint(text, "yellow"), style)
    if answer.reading:
        yield from _headed("read as", answer.reading, str, style)
    yield from _verification(answer, style)
    yield ""
    yield from draw(
        answer.tree, answer.steps, glyphs=style.glyphs, width=style.width, paint=style.paint_mark
    )
    yield ""
    yield from _legend(answer, style)
    yield from _counts(answer, style)


def heading(name: str, style: Style) -> str:
    """The name at the start of a line."""
    return style.dim(f"{name:<{HEADING_WIDTH}}")


def _votes(answer: Answer, style: Style) -> Iterator[str]:
    total = len(answer.rollouts)
    yield ""
    for index, vote in enumerate(answer.votes):
        name = heading("" if index else "votes", style)
        yield f"{name}{vote.count:>2} of {total}  {one_line(vote.answer)}"
    yield heading("answer", style) + style.bold(one_line(answer.text) or "(nothing)")


def _verification(answer: Answer, style: Style) -> Iterator[str]:
    """Says whether a grader accepted the answer to the question as it was read."""
    marks = style.glyphs.marks
    if answer.problem is None:
        verdict = "answered, not verified" if answer.text else "nothing to verify"
        verdict += " (no puzzle of a known kind was read)"
        if answer.is_misread:
            verdict = "misread: this is not what the question says; nothing is verified"
        text = f"{marks[Mark.UNVERIFIED]} {verdict}"
        yield from _headed("checked", text, lambda part: style.paint(part, "yellow"), style)
        return
    mark, word = (Mark.GOAL, "right") if answer.accepted else (Mark.REJECTED, "wrong")
    task = answer.problem.family.replace("_", " ")
    verdict = style.paint_mark(mark, f"{marks[mark]} {word}")
    yield heading("checked", style) + verdict + style.dim(f" ({task})")


def _legend(answer: Answer, style: Style) -> Iterator[str]:
    """The meaning of each mark in the tree."""
    used = {node.mark for node in answer.tree.nodes}
    shown = [mark for mark in Mark if mark in used]
    entries = [f"{style.glyphs.marks[mark]} {MEANINGS[mark]}" for mark in shown]
    for line in fill(entries, "   ", style.wrap_width):
        yield "   ".join(style.paint_mark(shown[index], entries[index]) for index in line)


def _counts(answer: Answer, style: Style) -> Iterator[str]:
    """The size of the search that is shown, and the tokens of all samples."""
    usage, samples = answer.usage, len(answer.rollouts)
    of_all = f" of all {samples} samples" if samples > 1 else ""
    reading = f"{usage.prompt_tokens:,} question, {usage.reasoning_tokens:,} reasoning"
    entries = [
        plural(len(answer.steps), "step"),
        plural(answer.tree.num_backtracks, "backtrack"),
        f"tokens{of_all}: {reading}, {usage.answer_tokens:,} answer",
    ]
    for line in fill(entries, style.dot, style.wrap_width):
        yield style.dim(style.dot.join(entries[index] for index in line))


def _headed(name: str, text: str, paint: Callable[[str], str], style: Style) -> Iterator[str]:
    """A heading and its text, wrapped with a hanging indent."""
    words: Sequence[str] = text.split()
    room = None if style.wrap_width is None else style.wrap_width - HEADING_WIDTH
    for number, line in enumerate(fill(words, " ", room)):
        start = " " * HEADING_WIDTH if number else heading(name, style)
        yield start + paint(" ".join(words[index] for index in line))
