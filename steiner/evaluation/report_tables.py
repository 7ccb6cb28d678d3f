"""The report's tables: accuracy, gains, suites, equal tokens, behaviour, data, transcripts.

Results, History, transcripts -> values for the template
"""

from __future__ import annotations

from collections.abc import Sequence

from steiner.evaluation.behaviour import ANSWER_RATES, STEP_RATES
from steiner.evaluation.report_labels import (
    TemplateData,
    cell,
    families,
    family_title,
    headline_record,
    interval,
    p_value,
    percent,
    points,
    signed_range,
    stage_title,
    within,
)
from steiner.evaluation.results import ALL, Comparison, Results, accuracy_metric
from steiner.evaluation.suites import MAIN, VALIDATION, suites
from steiner.evaluation.training_logs import History

LEGEND = (
    ("proceed", "proceeds"),
    ("backtrack", "backtracks"),
    ("dead", "verified as a dead end"),
    ("goal", "goal"),
    ("end", "ends without a goal"),
)
"""Kind of step -> words, in the order of the legend."""

_DECISIONS = {"goal": "ends: goal reached", "end": "ends without a goal", "proceed": "proceeds"}


def accuracy(results: Results) -> TemplateData:
    """Accuracy by stage and family; the last stage also within its budget."""
    names = families(results)
    best = headline_record(results)
    rows = [
        {
            "title": stage_title(stage),
            "note": "answers directly" if stage in results.direct else within(budget),
            "cells": [_share_cell(results, stage, name, budget) for name in (ALL, *names)],
            "best": (stage, budget) == (best.stage, best.budget),
        }
        for stage in dict.fromkeys(record.stage for record in results.find("accuracy"))
        for budget in dict.fromkeys([None, results.budget_of(stage)])
    ]
    note = (
        "The step budget of the last model is the smallest one whose accuracy on validation "
        "problems is within noise of the best."
    )
    return {
        "families": [family_title(name) for name in names],
        "rows": rows,
        "note": note if results.suites[VALIDATION] else "",
    }


def _share_cell(
    results: Results, stage: str, family: str, budget: int | None, metric: str = "accuracy"
) -> TemplateData | None:
    """None if it was not measured."""
    records = results.find(metric, stage=stage, family=family)
    return next((cell(record) for record in records if record.budget == budget), None)


def gains(results: Results) -> list[TemplateData]:
    """The comparisons of stages, as means over families."""
    return [
        {
            "first": f"{stage_title(one.stage)}, {within(one.budget)}",
            "second": _compared(results, one),
            "value": points(one.value),
            "range": signed_range(one.low, one.high),
            "p": p_value(one.p),
        }
        for one in results.comparisons
        if one.family == ALL and one.suite == MAIN
    ]


def _compared(results: Results, one: Comparison) -> str:
    if one.than_stage in results.direct:
        return f"{stage_title(one.than_stage)}, direct"
    return f"{stage_title(one.than_stage)}, {within(one.than_budget)}"


def suite_rows(results: Results) -> list[TemplateData]:
    """The last model's mean accuracy on each suite, and the paired difference to the main one."""
    differences = {
        one.suite: one for one in results.comparisons if one.family == ALL and one.suite != MAIN
    }
    names = [MAIN, *(name for name in suites() if name not in (MAIN, VALIDATION))]
    budget = results.budget_of(results.final)
    cells = {
        name: _share_cell(results, results.final, ALL, budget, accuracy_metric(name))
        for name in names
    }
    return [
        {
            "title": suites()[name].title,
            "count": sum(results.suites.get(name, {}).values()),
            "cell": shown,
            "difference": _difference(name, differences.get(name)),
        }
        for name, shown in cells.items()
        if shown is not None
    ]


def _difference(suite: str, one: Comparison | None) -> TemplateData:
    if one is not None:
        return {"value": points(one.value), "note": signed_range(one.low, one.high)}
    if suites()[suite].is_paired:
        return {"value": "", "note": "not measured"}
    return {"value": "", "note": "reference" if suite == MAIN else "other problems, not paired"}


def at_equal_tokens(results: Results) -> list[TemplateData]:
    """One search within each budget, and the best vote and best-of-n for at most its tokens."""
    searches = [r for r in results.find("one_search", family=ALL) if r.budget is not None]
    return [
        {
            "budget": f"{one.budget} step{'s' if one.budget != 1 else ''}",
            "tokens": f"{one.tokens:,.0f}",
            "cells": [
                {"text": percent(one.value), "note": interval(one)},
                *(_best_within(results, rule, one.tokens or 0) for rule in ("majority@", "best@")),
            ],
        }
        for one in sorted(searches, key=lambda record: record.budget or 0)
    ]


def _best_within(results: Results, rule: str, max_tokens: float) -> TemplateData | None:
    """The best record of several samples that takes at most `max_tokens`."""
    affordable = [
        record
        for record in results.find_all(rule)
        if (record.tokens or 0) <= max_tokens and not record.metric.endswith("@1")
    ]
    if not affordable:
        return None
    best = max(affordable, key=lambda record: record.value)
    size = best.metric.removeprefix(rule)
    steps = "1 step" if best.budget == 1 else f"{best.budget} steps"
    return {"text": percent(best.value), "note": f"{size} × {steps}, {best.tokens:,.0f} tokens"}


def behaviour(results: Results) -> TemplateData | None:
    """The rates of each reasoning stage; None if no stage reasons."""
    stages = list(dict.fromkeys(record.stage for record in results.find("steps")))
    if not stages:
        return None
    titles = {name: one.title for name, one in STEP_RATES.items()} | dict(ANSWER_RATES)
    rows = [
        {"title": title, "cells": [_share_cell(results, s, ALL, None, name) for s in stages]}
        for name, title in titles.items()
    ]
    return {
        "stages": [stage_title(stage) for stage in stages],
        "rows": [row for row in rows if any(row["cells"])],
        "steps": [_steps_cell(results, stage) for stage in stages],
        "untraced": [
            f"{family_title(name)} has no exact DAGs: {count} searches are left out of step rates."
            for name, count in results.untraced.items()
        ],
    }


def _steps_cell(results: Results, stage: str) -> TemplateData:
    record = results.find("steps", stage=stage, family=ALL)[0]
    return {"text": f"{record.value:.1f}", "range": f"{record.low:.1f} to {record.high:.1f}"}


_FAMILY_COUNTS = ("problems drawn", "distinct problems", "paths")
"""Counts that the data table shows for each family; the manifest names them `paths: jugs`."""


def data(history: History) -> TemplateData | None:
    """Counts of the synthetic data, in total and by family; None if there are none."""
    by_family: dict[str, dict[str, int]] = {}
    totals: dict[str, int] = {}
    for name, count in history.counts.items():
        what, _, family = name.partition(": ")
        if family and what in _FAMILY_COUNTS:
            by_family.setdefault(family, {})[what] = count
        else:
            totals[name] = count
    if not totals:
        return None
    order = [*(name for name in _FAMILY_COUNTS if name in totals), *totals]
    columns = [name for name in _FAMILY_COUNTS if any(name in own for own in by_family.values())]
    return {
        "totals": [(_count_title(name), f"{totals[name]:,}") for name in dict.fromkeys(order)],
        "columns": [_count_title(what) for what in columns],
        "rows": [
            (family_title(family), [f"{counts.get(what, 0):,}" for what in columns])
            for family, counts in by_family.items()
        ],
    }


def _count_title(name: str) -> str:
    return "DAGs" if name == "dags" else name[:1].upper() + name[1:]


def transcript(one: TemplateData) -> TemplateData:
    """A transcript with its steps' decisions as text."""
    steps: Sequence[TemplateData] = one["steps"]
    return {
        "title": family_title(one["family"]),
        "question": one["question"],
        "answer": one["answer"],
        "right": one["right"],
        "note": f"{len(steps)} steps, {one['tokens']:,} tokens",
        "steps": [
            _step(step, following)
            for step, following in zip(steps, [*steps[1:], None], strict=True)
        ],
    }


def _step(step: TemplateData, following: TemplateData | None) -> TemplateData:
    backtracks = step["decision"] == "backtrack" and following is not None
    target = following["parent"] if following else None
    place = "the question" if target is None else f"step {target + 1}"
    cause = "dead end, back to" if step["kind"] == "dead" else "back to"
    decided = f"{cause} {place}" if backtracks else _DECISIONS.get(step["kind"], "backtracks")
    return step | {
        "parent": "" if step["parent"] is None else step["parent"],
        "status": step["status"] or "",
        "faults": ", ".join(step["faults"]),
        "decided": decided,
        "back": ("" if target is None else target) if backtracks else None,
    }
