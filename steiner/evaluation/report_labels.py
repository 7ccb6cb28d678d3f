"""Labels of the report: stages, families, shares and intervals as text.

stage, family, Record -> text
"""

from __future__ import annotations

from typing import Any

from steiner.evaluation.results import ALL, Record, Results
from steiner.evaluation.suites import MAIN

TemplateData = dict[str, Any]
"""Values for the template."""


STAGE_TITLES = {  # of the usual stages; others keep their names
    "base": "Base",
    "cpt": "Continual pre-training",
    "sft": "Supervised fine-tuning",
    "rl": "Reinforcement learning",
}

FAMILY_TITLES = {ALL: "Mean", "knights_knaves": "Knights and knaves"}


def percent(value: float) -> str:
    """A share in whole per cent."""
    return f"{100 * value:.0f} %"


def points(value: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    text = f"{100 * value:+.1f}".replace("-", "−")
    return "0.0" if text in ("+0.0", "−0.0") else text


def stage_title(stage: str) -> str:
    """A stage's title; a stage that has none keeps its name."""
    return STAGE_TITLES.get(stage, stage)


def family_title(family: str) -> str:
    """`mini_sudoku` -> `Mini sudoku`."""
    return FAMILY_TITLES.get(family, family.replace("_", " ").capitalize())


def within(budget: int | None) -> str:
    """A step budget as text."""
    if budget is None:
        return "no step budget"
    return "at most 1 step" if budget == 1 else f"at most {budget} steps"


def interval(record: Record) -> str:
    """A record's interval in per cent."""
    return f"{100 * record.low:.0f} to {100 * record.high:.0f} %"


def families(results: Results) -> list[str]:
    """The families of the main suite."""
    return [name for name in results.suites[MAIN] if name != ALL]


def headline_record(results: Results) -> Record:
    """The last stage's mean accuracy within its chosen budget."""
    records = results.find("accuracy", stage=results.final, family=ALL)
    return next(record for record in records if record.budget == results.chosen_budget)


def cell(record: Record) -> TemplateData:
    """A share with its interval, as text and as positions on a bar."""
    return {
        "text": percent(record.value),
        "value": f"{100 * record.value:.1f}",
        "low": f"{100 * record.low:.1f}",
        "high": f"{100 * record.high:.1f}",
        "range": interval(record),
    }


def signed_range(low: float, high: float) -> str:
    """An interval of a difference in percentage points."""
    return f"{points(low)} to {points(high)}"


def p_value(p: float) -> str:
    """A p-value with four digits."""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"
