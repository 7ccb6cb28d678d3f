"""Names and figures as a person reads them.

stage, family, Record -> text
"""

from __future__ import annotations

from typing import Any

from steiner.evaluation.results import ALL, Record, Results

View = dict[str, Any]
"""What the template shows of something."""


STAGE_TITLES = {
    "base": "Base",
    "cpt": "Continual pre-training",
    "sft": "Supervised fine-tuning",
    "rl": "Reinforcement learning",
}

FAMILY_TITLES = {ALL: "Mean", "knights_knaves": "Knights and knaves"}


def percent(value: float) -> str:
    """A share as whole per cent."""
    return f"{100 * value:.0f} %"


def points(value: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * value:+.1f}".replace("-", "−")


def stage_title(stage: str) -> str:
    """A stage's name for people; its own where it is none of the usual."""
    return STAGE_TITLES.get(stage, stage)


def family_title(family: str) -> str:
    """`mini_sudoku` as Mini sudoku."""
    return FAMILY_TITLES.get(family, family.replace("_", " ").capitalize())


def within(budget: int | None) -> str:
    """A step budget in words."""
    if budget is None:
        return "no step budget"
    return "at most 1 step" if budget == 1 else f"at most {budget} steps"


def interval(record: Record) -> str:
    """A record's interval, in per cent."""
    return f"{100 * record.low:.0f} to {100 * record.high:.0f} %"


def families(results: Results) -> list[str]:
    """The families of the main suite."""
    return [name for name in results.suites["test"] if name != ALL]


def headline_record(results: Results) -> Record:
    """The last stage, within the budget that was chosen for it."""
    found = results.find("accuracy", stage=results.final, family=ALL)
    return next(record for record in found if record.budget == results.chosen_budget)


def cell(record: Record) -> View:
    """A share with its interval, as text and as places on a bar."""
    return {
        "text": percent(record.value),
        "value": f"{100 * record.value:.1f}",
        "low": f"{100 * record.low:.1f}",
        "high": f"{100 * record.high:.1f}",
        "range": interval(record),
    }
