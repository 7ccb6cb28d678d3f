"""The report's tables: accuracy, gains, other suites, equal tokens, behaviour, transcripts.

Results, transcripts -> what the template shows
"""

from __future__ import annotations

from collections.abc import Sequence

from steiner.evaluation.behaviour import FORM, TRAITS
from steiner.evaluation.report_labels import (
    View,
    cell,
    families,
    family_title,
    headline_record,
    interval,
    percent,
    points,
    stage_title,
    within,
)
from steiner.evaluation.results import ALL, Comparison, Results
from steiner.evaluation.suites import suites

LEGEND = (
    ("proceed", "proceeds"),
    ("backtrack", "turns back"),
    ("dead", "verified as a dead end"),
    ("goal", "goal"),
    ("end", "stops short"),
)
"""Kind of step -> words, in the order of the legend."""

_DECIDED = {"goal": "ends: goal reached", "end": "ends short of a goal", "proceed": "proceeds"}


def accuracy(results: Results) -> View:
    """The table of stages and families, the last stage also within each budget."""
    names = families(results)
    best = headline_record(results)
    rows = []
    for stage in dict.fromkeys(record.stage for record in results.find("accuracy")):
        for budget in dict.fromkeys([None, results.budget_of(stage)]):
            cells = [_accuracy_cell(results, stage, name, budget) for name in (ALL, *names)]
            is_best = (stage, budget) == (best.stage, best.budget)
            note = "answers directly" if stage in results.direct else within(budget)
            rows.append(
                {"title": stage_title(stage), "note": note, "cells": cells, "best": is_best}
            )
    note = (
        "A step budget is chosen for the last model on a validation split, never on these "
        "problems: the smallest that is within noise of the best."
    )
    return {"families": [family_title(name) for name in names], "rows": rows, "note": note}


def _accuracy_cell(
    results: Results, stage: str, family: str, budget: int | None, metric: str = "accuracy"
) -> View | None:
    found = results.find(metric, stage=stage, family=family)
    return next((cell(record) for record in found if record.budget == budget), None)


def gains(results: Results) -> list[View]:
    """Every comparison of means."""
    return [
        {
            "first": f"{stage_title(one.stage)}, {within(one.budget)}",
            "second": _compared(results, one),
            "value": points(one.value),
            "range": f"{points(one.low)} to {points(one.high)}",
            "p": "< 0.0001" if one.p < 0.0001 else f"{one.p:.4f}",
        }
        for one in results.comparisons
        if one.family == ALL
    ]


def _compared(results: Results, one: Comparison) -> str:
    if one.than_stage in results.direct:
        return f"{stage_title(one.than_stage)}, direct"
    return f"{stage_title(one.than_stage)}, {within(one.than_budget)}"


def terms(results: Results) -> View:
    """Mean accuracy on the other suites beside the main one, the last model's within its budget."""
    names = [name for name in suites() if name not in ("test", "validation")]
    metrics = ["accuracy", *(f"accuracy/{name}" for name in names)]
    rows = []
    for stage in dict.fromkeys(record.stage for record in results.find("accuracy")):
        budget = results.budget_of(stage)
        note = "answers directly" if stage in results.direct else within(budget)
        cells = [_accuracy_cell(results, stage, ALL, budget, metric) for metric in metrics]
        rows.append({"title": stage_title(stage), "note": note, "cells": cells})
    note = (
        "The same problems in a wording that no training saw, and instances that reasoning-gym "
        "generates, judged by its own scorer, of which only a full score counts. Each on fewer "
        "problems than above, so the intervals are wider."
    )
    return {
        "titles": [suites()["test"].title, *(suites()[n].title for n in names)],
        "rows": rows,
        "note": note,
    }


def at_equal_tokens(results: Results) -> list[View]:
    """For each budget of one search, the best vote and best-of-n for no more tokens."""
    rows = []
    own = [r for r in results.find("one_search", family=ALL) if r.budget is not None]
    for one in sorted(own, key=lambda record: record.budget or 0):
        rivals = [_best_within(results, rule, one.tokens or 0) for rule in ("majority@", "best@")]
        rows.append(
            {
                "budget": f"{one.budget} step{'s' if one.budget != 1 else ''}",
                "tokens": f"{one.tokens:,.0f}",
                "cells": [{"text": percent(one.value), "note": interval(one)}, *rivals],
            }
        )
    return rows


def _best_within(results: Results, rule: str, tokens: float) -> View | None:
    """The best record of several samples that spends at most `tokens`."""
    fitting = [
        record
        for record in results.find_all(rule)
        if (record.tokens or 0) <= tokens and not record.metric.endswith("@1")
    ]
    if not fitting:
        return None
    best = max(fitting, key=lambda record: record.value)
    size = best.metric.removeprefix(rule)
    steps = "1 step" if best.budget == 1 else f"{best.budget} steps"
    return {"text": percent(best.value), "note": f"{size} × {steps}, {best.tokens:,.0f} tokens"}


def behaviour(results: Results) -> View | None:
    """How each reasoning stage's steps and answers behave."""
    stages = list(dict.fromkeys(record.stage for record in results.find("steps")))
    if not stages:
        return None
    titles = {name: trait.title for name, trait in TRAITS.items()} | dict(FORM)
    return {
        "stages": [stage_title(stage) for stage in stages],
        "rows": [_trait_row(results, stages, name, title) for name, title in titles.items()],
        "steps": [_mean_cell(results, stage) for stage in stages],
    }


def _trait_row(results: Results, stages: Sequence[str], metric: str, title: str) -> View:
    cells = [_accuracy_cell(results, stage, ALL, None, metric) for stage in stages]
    return {"title": title, "cells": cells}


def _mean_cell(results: Results, stage: str) -> View:
    found = results.find("steps", stage=stage, family=ALL)[0]
    return {"text": f"{found.value:.1f}", "range": f"{found.low:.1f} to {found.high:.1f}"}


def transcript(one: View) -> View:
    """A transcript with words for what its steps decided."""
    steps = one["steps"]
    parents = [step["parent"] for step in steps]
    return {
        "title": family_title(one["family"]),
        "question": one["question"],
        "answer": one["answer"],
        "right": one["right"],
        "note": f"{len(steps)} steps, {one['tokens']:,} tokens",
        "steps": [
            _step(step, parents[i + 1] if i + 1 < len(steps) else None, i + 1 < len(steps))
            for i, step in enumerate(steps)
        ],
    }


def _step(step: View, goes_on_from: int | None, goes_on: bool) -> View:
    turned = step["decision"] == "backtrack" and goes_on
    target = "the question" if goes_on_from is None else f"step {goes_on_from + 1}"
    cause = "dead end, back to" if step["kind"] == "dead" else "back to"
    return step | {
        "parent": "" if step["parent"] is None else step["parent"],
        "status": step["status"] or "",
        "faults": ", ".join(step["faults"]),
        "decided": f"{cause} {target}" if turned else _DECIDED.get(step["kind"], "turns back"),
        "back": ("" if goes_on_from is None else goes_on_from) if turned else None,
    }
