"""The teacher's prompts, and its replies as steps with the four components.

question, steps so far -> messages;  reply or worked solution -> steps and answer

A teacher writes plain labelled lines, which models of any size can do; the 14 tokens come later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from steiner.types import Message, StepTexts

LABELS = ("Next step", "Understanding", "Summary", "Check")
"""Labels of the four components, in the order of StepTexts."""

MAX_STEPS = 24
"""Steps of one reply; of a longer one, the first are read, and it has no answer."""

_FORM = """\
Next step: what to do now, in a few words
Understanding: what is known so far and needed for this step
Summary: the result of the step, with its number or finding last
Check: a short test of the result"""

_SYSTEM = f"""\
You solve problems in small steps. Write every step in exactly this form:

{_FORM}

Leave an empty line between steps. After the last step write one line:

Answer: the answer alone"""

_EXAMPLE = (
    Message("system", _SYSTEM),
    Message("user", "A box holds 6 eggs. Ann has 4 boxes and eats 5 eggs. How many are left?"),
    Message(
        "assistant",
        """\
Next step: count the eggs in all boxes
Understanding: there are 4 boxes with 6 eggs each
Summary: 4 * 6 = 24
Check: 6 + 6 + 6 + 6 is 24 as well

Next step: take away the eggs that Ann eats
Understanding: of the 24 eggs, 5 are eaten
Summary: 24 - 5 = 19
Check: 19 + 5 is 24 again

Answer: 19""",
    ),
)
"""The form, and an example of it: small models follow an example better than a description."""

_LABEL = re.compile(
    r"^[\s>#*\-\d.)]*(next step|understanding|summary|check|(?:final )?answer)\s*\**\s*:\s*\**\s*",
    re.IGNORECASE | re.MULTILINE,
)
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_ANNOTATION = re.compile(r"<<([^<>]*)>>")
_EQUATION = re.compile(r"^\s*([-+*/().\d\s]+?)\s*=\s*([-+]?\d[\d,]*(?:\.\d+)?)\s*$")
_NUM = r"\d(?:[\d,]*\d)?(?:\.\d+)?"
_SUM = re.compile(
    rf"(?<![\w.])((?:[-(\s]*{_NUM}[)\s]*[-+*/])+[-(\s]*{_NUM}[)\s]*)"
    rf"=\s*([-+]?{_NUM})(?![\w%]|\.\d|\s*[-+*/]\s*[\d(])"
)
"""A sum in a text, such as `4 * 6 = 24`, whose result ends there."""
_MONEY = re.compile("[$€£]")
_ROUNDING = 0.01
"""Share by which a teacher may round a result."""
_TIMES = re.compile(r"(?<=\d)\s*[x×]\s*(?=\d)")
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(])")


@dataclass(frozen=True, slots=True)
class Solution:
    """Steps, and the answer after them; the answer is empty if there is none."""

    steps: tuple[StepTexts, ...]
    answer: str = ""


def solving_messages(question: str, answer: str) -> tuple[Message, ...]:
    """Asks for steps toward the known answer."""
    return (
        *_EXAMPLE,
        Message(
            "user",
            f"{question}\n\nThe correct answer is {answer}. Derive it step by step. "
            "Do not mention that it was given.",
        ),
    )


def continuing_messages(question: str, steps: Sequence[StepTexts]) -> tuple[Message, ...]:
    """Asks for the steps after `steps`, without the answer."""
    if not steps:
        return *_EXAMPLE, Message("user", question)
    text = (
        f"{question}\n\nThese steps are done:\n\n{render(steps)}\n\n"
        "Continue with the next step. Do not repeat the steps above."
    )
    return *_EXAMPLE, Message("user", text)


def correcting_messages(
    question: str, answer: str, right: Sequence[StepTexts], wrong: Sequence[StepTexts]
) -> tuple[Message, ...]:
    """Asks what is wrong with the last of the steps `wrong`, which come after the steps `right`,
    and for the steps in their place, with the answer shown."""
    before = f"These steps are done:\n\n{render(right)}\n\n" if right else ""
    place = "Then continue after the steps that are done" if right else "Then solve the problem"
    text = (
        f"{question}\n\n{before}Somebody continued with these steps:\n\n{render(wrong)}\n\n"
        f"They do not lead to the correct answer, {answer}. First say in one short sentence what "
        f"is wrong with the last step, without the answer. {place}, in the form of the example, "
        "and do not mention that the answer was given."
    )
    return *_EXAMPLE, Message("user", text)


def parse_correction(text: str) -> tuple[str, Solution]:
    """The sentence before the steps of a correction, empty if there is none, and the steps."""
    label = _LABEL.search(text)
    return first_sentence(text[: label.start()] if label else text), parse_reply(text)


def render(steps: Sequence[StepTexts]) -> str:
    """The steps in the labelled form."""
    return "\n\n".join(
        "\n".join(
            f"{label}: {getattr(step, name)}"
            for label, name in zip(LABELS, StepTexts.__slots__, strict=True)
        )
        for step in steps
    )


def parse_reply(text: str) -> Solution:
    """The steps and the answer of a reply; no steps if it is not in the form.

    Labels may have other case, Markdown, or numbers before them.
    """
    found = list(_LABEL.finditer(text))
    steps: list[StepTexts] = []
    parts: dict[str, str] = {}
    answer = ""
    for index, label in enumerate(found):
        end = found[index + 1].start() if index + 1 < len(found) else len(text)
        name = label[1].lower()
        content = _one_line(text[label.end() : end])
        if name.endswith("answer"):
            answer = content
            break
        if name in parts or (name == "next step" and parts):
            parts = {}
        parts[name] = content
        if len(parts) == len(LABELS):
            if not all(parts.get(each.lower()) for each in LABELS) or len(steps) == MAX_STEPS:
                return Solution(tuple(steps))
            steps.append(StepTexts(*(parts[each.lower()] for each in LABELS)))
            parts = {}
    return Solution(tuple(steps), bare_answer(answer))


def bare_answer(text: str) -> str:
    """An answer without Markdown, a box or a closing full stop."""
    bare = text.strip().strip("*`").strip()
    boxed = re.fullmatch(r"\$?\\boxed\{(.*)\}\$?\.?", bare)
    return (boxed[1] if boxed else bare).removesuffix(".").strip()


def first_sentence(text: str) -> str:
    """The first sentence of a reply, on one line."""
    return _SENTENCE.split(_one_line(text), maxsplit=1)[0][:300]


def worked_solution(rationale: str, answer: str) -> Solution:
    """The steps of a worked solution in the data: one a line, or one a sentence of a single line.

    The check of a step with an equation computes it again. Calculator marks of GSM8K
    (`<<48/2=24>>`) are read and removed; a solution with a false one has no steps.
    """
    lines = [line.strip() for line in rationale.splitlines() if line.strip()]
    if len(lines) == 1:
        lines = _SENTENCE.split(lines[0])
    steps: list[StepTexts] = []
    known: list[str] = []
    for line in lines[:MAX_STEPS]:
        text = _ANNOTATION.sub("", line).strip()
        equation = _equation(line)
        if equation is not None and not _holds(*equation):
            return Solution((), answer)
        equation = equation or next(reversed([s for s in _sums(text) if _holds(*s)]), None)
        if equation is None:
            next_step, check = "State what follows", "This follows from the question."
        else:
            expression, result = equation
            next_step, check = f"Compute {expression}", f"{expression} = {result}, right."
        known_so_far = "; ".join(known[-3:])
        understanding = f"Known so far: {known_so_far}" if known else "Nothing is computed yet."
        steps.append(StepTexts(next_step, understanding, text, check))
        known.append(text.removesuffix("."))
    return Solution(tuple(steps), answer)


def fault_of(solution: Solution) -> str:
    """Why the steps of a solution cannot lead to its answer; an empty string if nothing is wrong.

    A teacher that is shown the answer may write any steps and then the answer.
    """
    texts = [text for step in solution.steps for text in (step.summary, step.verification)]
    if not all(_holds(*each, rounding=_ROUNDING) for text in texts for each in _sums(text)):
        return "solutions with a false sum"
    answer = value_of(solution.answer) if _NUMBER.fullmatch(solution.answer) else ""
    last = numbers_in(solution.steps[-1].summary) if solution.steps else []
    if answer and answer not in map(value_of, last):
        return "solutions whose last step has another result"
    return ""


def _sums(text: str) -> list[tuple[str, str]]:
    """(expression, result) of each sum in a text, signs of money left out."""
    plain = _TIMES.sub(" * ", _MONEY.sub("", text)).replace("÷", "/")
    return [(found[1].strip(), found[2]) for found in _SUM.finditer(plain)]


def _holds(expression: str, result: str, *, rounding: float = 0.0) -> bool:
    """True if the result is right up to 0.01, or up to a share of it by which it may be rounded."""
    value = arithmetic(expression)
    if value is None:
        return False
    return abs(value - float(result.replace(",", ""))) <= max(0.01, rounding * abs(value))


def value_of(summary: str) -> str:
    """The computed value of a step: the result of the last sum in its summary, or else its last
    number; empty without one."""
    numbers = [result for _, result in _sums(summary)] or numbers_in(summary)
    if not numbers:
        return ""
    value = float(numbers[-1].replace(",", ""))
    return str(int(value)) if value.is_integer() else str(value)


def numbers_in(text: str) -> list[str]:
    """The numbers of a text as they are written, such as `-1,024.5`."""
    return _NUMBER.findall(text)


def arithmetic(expression: str) -> float | None:
    """The value of an expression of numbers, + - * / and brackets; None for any other text."""
    import ast

    try:
        tree = ast.parse(expression.replace(",", ""), mode="eval")
        return _evaluated(tree.body)
    except (SyntaxError, ValueError, ZeroDivisionError, OverflowError, RecursionError):
        return None


def _evaluated(node: object) -> float:
    import ast

    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_evaluated(node.operand)
    if isinstance(node, ast.BinOp):
        left, right = _evaluated(node.left), _evaluated(node.right)
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        if isinstance(node.op, ast.Mult):
            return left * right
        if isinstance(node.op, ast.Div):
            return left / right
    raise ValueError("not arithmetic")


def _equation(line: str) -> tuple[str, str] | None:
    """(expression, result) of the last calculator mark."""
    for mark in reversed(_ANNOTATION.findall(line)):
        if found := _EQUATION.match(mark):
            return found[1], found[2]
    return None


def _one_line(text: str) -> str:
    return " ".join(text.split())
