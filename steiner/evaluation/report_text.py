"""The report's sentences: its headline, what the plots are of, and how all was measured.

Results, History -> what the template shows
"""

from __future__ import annotations

import json
from typing import Any

from steiner.evaluation.report_labels import (
    STAGE_TITLES,
    View,
    families,
    family_title,
    headline_record,
    interval,
    percent,
    points,
    stage_title,
    within,
)
from steiner.evaluation.results import ALL, Comparison, Record, Results
from steiner.evaluation.training_logs import History


def headline(results: Results, history: History) -> View:
    """The page's first screen."""
    best = headline_record(results)
    facts = [
        {
            "value": f"{100 * best.value:.1f}",
            "unit": "%",
            "label": f"of held-out problems right, {within(best.budget)}, mean of the families",
            "range": interval(best),
        }
    ]
    facts += [_gain_fact(one) for one in _headline_gains(results, best)]
    if history.perplexity:
        facts.append(_perplexity_fact(history))
    return {
        "title": f"{percent(best.value)} of held-out problems solved by searching in one line",
        "lead": _lead(results),
        "facts": facts,
    }


def _lead(results: Results) -> str:
    names = [family_title(name).lower() for name in families(results)]
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    count = sum(results.suites["test"].values())
    stages = len({record.stage for record in results.find("accuracy")})
    return (
        f"{stages} model{'s' if stages > 1 else ''} on {count:,} problems of {listed} "
        "that no training saw. The model names a step, thinks, sums up, verifies, and then "
        "proceeds, turns back or answers; nothing searches for it."
    )


def _headline_gains(results: Results, best: Record) -> list[Comparison]:
    """Over the first direct model, and over the stage before the last."""
    means = [one for one in results.comparisons if one.family == ALL]
    own = [one for one in means if (one.stage, one.budget) == (best.stage, best.budget)]
    stages = list(dict.fromkeys(one.than_stage for one in own if one.than_stage != best.stage))
    wanted = [*list(results.direct)[:1], *stages[-1:]]
    return [one for stage in dict.fromkeys(wanted) for one in own if one.than_stage == stage]


def _gain_fact(one: Comparison) -> View:
    over = stage_title(one.than_stage).lower()
    return {
        "value": points(one.value),
        "unit": "points",
        "label": f"over {over}, same problems",
        "range": f"{points(one.low)} to {points(one.high)}",
    }


def _perplexity_fact(history: History) -> View:
    change = history.perplexity["after"] / history.perplexity["before"] - 1
    return {
        "value": f"{100 * change:+.1f}".replace("-", "−"),
        "unit": "%",
        "label": "perplexity of ordinary text after continual pre-training",
        "range": f"{history.perplexity['before']:.2f} before",
    }


def scaling_note(results: Results) -> str:
    """What the budget curves are of."""
    chosen = results.chosen_budget
    picked = "no budget" if chosen is None else f"{chosen} steps"
    return (
        f"The last model, {_decoding(results)}, with at most so many steps before it must answer. "
        f"On the validation split {picked} came out as the budget to use."
    )


def _decoding(results: Results) -> str:
    """How a search is decoded that is no sample."""
    temperature = results.temperature[results.final]
    return f"drawn at temperature {temperature:g}" if temperature else "greedy"


def perplexity(history: History) -> str:
    """The sentence about ordinary text; empty where it was not measured."""
    if not history.perplexity:
        return ""
    before, after = history.perplexity["before"], history.perplexity["after"]
    change = f"{100 * (after / before - 1):+.1f}".replace("-", "−")
    return (
        f"Perplexity of held-out ordinary text was {before:.2f} before continual pre-training and "
        f"{after:.2f} after it ({change} %), so the base's own ability "
        f"{'stayed' if after <= before * 1.02 else 'suffered'}."
    )


def method(results: Results, history: History) -> View:
    """How the figures came about, what they cost, and what is missing."""
    limits = results.recipe["eval"]
    paragraphs = [
        _SPLITS.format(decoding=_decoding(results))
        + f" (temperature {limits['temperature']}), and at most "
        f"{limits['max_tokens']:,} tokens long.",
        _INTERVALS,
    ]
    if history.missing:
        paragraphs.append(f"Not found, and so not shown: {', '.join(history.missing)}.")
    machine = history.machine
    where = f" on {machine['cores']} cores, {machine['platform']}" if machine else ""
    torch = f", torch {history.versions['torch']}" if "torch" in history.versions else ""
    return {
        "paragraphs": paragraphs,
        "cost": [_cost_row(name, cost) for name, cost in history.cost.items()],
        "recipe": json.dumps(results.recipe, indent=2, ensure_ascii=False),
        "footer": f"Run “{results.recipe['name']}”, seed {results.recipe['seed']}{where}{torch}.",
    }


_SPLITS = (
    "Problems belong to a split by a hash of their content, so no seed, wording or language can "
    "bring a test problem into training. Direct answers are greedy, searches "
    "{decoding} unless they are samples"
)

_INTERVALS = (
    "Shares carry Wilson's interval; rates of steps the same at the effective sample size, since "
    "steps of one problem are alike; differences on the same problems Newcombe's interval for "
    "pairs; means over families their squared-and-added limits."
)


def _cost_row(name: str, cost: Any) -> View:
    minutes, seconds = divmod(round(cost["seconds"]), 60)
    memory = cost.get("peak_memory_mb")
    return {
        "title": stage_title(name) if name in STAGE_TITLES else name.capitalize(),
        "time": f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s",
        "memory": f"{memory:,.0f} MB" if memory else "–",
    }
