"""Answers to countdown: equations one after the other, or one expression.

Spec, answer -> True if it is right, None if it cannot be read
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from steiner.types import Spec

_EQUATION = re.compile(r"(\d{1,4}) ?([-+*/]) ?(\d{1,4}) ?= ?(\d{1,4})")
_MAX_EXPRESSION = 200
"""Characters; longer expressions are not evaluated."""

Equation = tuple[int, str, int, int]
"""Left operand, operator, right operand, result."""


def is_right_answer(spec: Spec, answer: str) -> bool | None:
    """True if equations or one expression reach the target; None if unreadable."""
    text = answer.strip()
    is_right = _are_right_equations if "=" in text else _is_right_expression
    return is_right(spec, text)


def read_equations(answer: str) -> list[Equation] | None:
    """The equations in `a op b = c, ...`; None if the answer contains anything else."""
    found = [_EQUATION.fullmatch(part) for part in answer.strip().split(", ")]
    if any(match is None for match in found):
        return None
    groups = [match.groups() for match in found if match]
    return [(int(a), op, int(b), int(c)) for a, op, b, c in groups]


def _are_right_equations(spec: Spec, answer: str) -> bool | None:
    """True if equations combine all numbers one by one into the target; None if unreadable."""
    equations = read_equations(answer)
    if equations is None:
        return None
    numbers: list[int] | None = list(spec["numbers"])
    for equation in equations:
        numbers = numbers and _combined(numbers, equation)
    return numbers == [spec["target"]]


def _combined(numbers: Sequence[int], equation: Equation) -> list[int] | None:
    """The numbers after an equation replaces two of them by its result; None if it is false."""
    left, operator, right, result = equation
    rest = list(numbers)
    for operand in (left, right):
        if operand not in rest:
            return None
        rest.remove(operand)
    is_true = _exact(operator, Fraction(left), Fraction(right)) == result
    return [*rest, result] if is_true else None


def _is_right_expression(spec: Spec, answer: str) -> bool | None:
    """True if one expression uses each number once and equals the target; None if unreadable."""
    if len(answer) > _MAX_EXPRESSION or not re.fullmatch(r"[\d+\-*/() ]+", answer):
        return None
    try:
        tree = ast.parse(answer, mode="eval").body
    except (SyntaxError, ValueError):
        return None
    used = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return Counter(used) == Counter(spec["numbers"]) and _value(tree) == spec["target"]


def _value(node: ast.expr) -> Fraction | None:
    if isinstance(node, ast.Constant):
        return Fraction(node.value) if isinstance(node.value, int) else None
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _value(node.left), _value(node.right)
    signs = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
    operator = signs.get(type(node.op))
    if left is None or right is None or operator is None:
        return None
    return _exact(operator, left, right)


def _exact(operator: str, left: Fraction, right: Fraction) -> Fraction | None:
    if operator == "/":
        return left / right if right else None
    return {"+": left + right, "-": left - right, "*": left * right}[operator]
