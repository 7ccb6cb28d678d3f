"""The report's plots, each with its numbers as a table.

Results, History -> figures for the template
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steiner.evaluation.report_labels import family_title, percent, stage_title
from steiner.evaluation.results import ALL, Record, Results
from steiner.evaluation.svg_plots import THIRD_PAGE, Line, Plot, draw
from steiner.evaluation.training_logs import Curve, History

FigureData = dict[str, Any]


def by_steps(results: Results) -> FigureData:
    """Accuracy of the last stage by step budget: each family, and their mean."""
    families = list(dict.fromkeys(r.family for r in results.find("accuracy")))
    families.sort(key=lambda name: name != ALL)
    rows = {
        name: _budgeted(results.find("accuracy", stage=results.final, family=name))
        for name in families
    }
    lines = [
        _line(
            "Mean" if name == ALL else family_title(name),
            [record.budget or 0 for record in records],
            records,
            strong=name == ALL,
            band=name == ALL,
        )
        for name, records in rows.items()
    ]
    plot = Plot(
        "by-steps",
        "Accuracy by step budget",
        "step budget",
        "answered right",
        x_log2=True,
        percent=True,
    )
    budgets = [record.budget for record in rows[ALL]]
    table = [[line.label, *map(percent, line.y)] for line in lines]
    return _figure(
        plot,
        lines,
        "Each point is a step budget. Band: 95 % interval of the mean.",
        ["", *(f"{budget} steps" for budget in budgets)],
        table,
    )


def by_tokens(results: Results) -> FigureData:
    """The same by tokens spent, compared with several samples."""
    most = max(int(r.metric.split("@")[1]) for r in results.find_all("majority@"))
    metrics = {
        "one_search": "One search",
        f"majority@{most}": f"Majority of {most}",
        f"best@{most}": f"Best of {most}, by likelihood",
        f"pass@{most}": f"Any of {most} (needs an oracle)",
    }
    rows = {
        label: _budgeted(results.find(key, stage=results.final, family=ALL))
        for key, label in metrics.items()
    }
    lines = [
        _line(
            label,
            [record.tokens or 0 for record in records],
            records,
            strong=index == 0,
            band=index == 0,
            dashed="oracle" in label,
        )
        for index, (label, records) in enumerate(rows.items())
    ]
    plot = Plot(
        "by-tokens",
        "Accuracy by tokens",
        "mean completion tokens per problem",
        "answered right",
        x_log2=True,
        percent=True,
    )
    table = [
        [f"{label}, {r.budget} steps", f"{r.tokens:,.0f}", percent(r.value)]
        for label, records in rows.items()
        for r in records
    ]
    note = "Each point is a step budget. Several samples count all their tokens."
    return _figure(plot, lines, note, ["", "tokens", "right"], table)


def training(history: History) -> list[FigureData]:
    """The logged curve of each stage."""
    return [_curve(curve, colour) for colour, curve in enumerate(history.curves, 1)]


def _curve(curve: Curve, colour: int) -> FigureData:
    title = f"{stage_title(curve.stage)}: {curve.quantity}"
    line = Line("", curve.steps, curve.values, colour=colour)
    plot = Plot(
        f"curve-{curve.stage}",
        title,
        "optimiser step",
        curve.quantity,
        markers=False,
        size=THIRD_PAGE,
    )
    shown = sorted({round(i * (len(curve.steps) - 1) / 9) for i in range(10)})
    table = [[f"{curve.steps[i]:,.0f}", f"{curve.values[i]:.3f}"] for i in shown]
    return _figure(plot, [line], "", ["step", curve.quantity], table)


def _line(
    label: str,
    x: Sequence[float],
    records: Sequence[Record],
    *,
    strong: bool = False,
    band: bool = False,
    dashed: bool = False,
) -> Line:
    low = [record.low for record in records] if band else []
    high = [record.high for record in records] if band else []
    return Line(label, x, [r.value for r in records], low, high, dashed, strong)


def _budgeted(records: Sequence[Record]) -> list[Record]:
    """The records with a step budget, smallest first."""
    return sorted(
        (record for record in records if record.budget is not None), key=lambda r: r.budget or 0
    )


def _figure(
    plot: Plot,
    lines: Sequence[Line],
    note: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
) -> FigureData:
    from markupsafe import Markup

    return {
        "title": plot.title,
        "note": note,
        "svg": Markup(draw(plot, lines)),
        "columns": columns,
        "rows": rows,
    }
