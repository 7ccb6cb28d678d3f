"""The report's sentences: headline, notes on the plots, and the method.

Results, History -> values for the template
"""

from __future__ import annotations

import json
from typing import Any

from steiner.evaluation.report_labels import (
    STAGE_TITLES,
    TemplateData,
    families,
    family_title,
    headline_record,
    interval,
    percent,
    points,
    signed_range,
    stage_title,
    within,
)
from steiner.evaluation.results import ALL, Comparison, Record, Results, accuracy_metric
from steiner.evaluation.suites import MAIN, VALIDATION
from steiner.evaluation.training_logs import History


def headline(results: Results, history: History) -> TemplateData:
    """The page's first screen."""
    best = headline_record(results)
    facts = [
        _share_fact(best, f"of our held-out problems right, {within(best.budget)}"),
        *(
            _share_fact(record, "of reasoning-gym's instances right, by its own scorer")
            for record in results.find(
                accuracy_metric("reasoning_gym"), stage=best.stage, family=ALL
            )
            if record.budget == best.budget
        ),
        *(_gain_fact(one) for one in _headline_gains(results, best)),
    ]
    if history.perplexity:
        facts.append(_perplexity_fact(history))
    return {
        "title": f"{percent(best.value)} of held-out problems solved by searching in one line",
        "lead": _lead(results),
        "facts": facts,
    }


def _share_fact(record: Record, label: str) -> TemplateData:
    value = f"{100 * record.value:.1f}"
    return {"value": value, "unit": "%", "label": label, "range": interval(record)}


def _lead(results: Results) -> str:
    names = [family_title(name).lower() for name in families(results)]
    listed = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    count = sum(results.suites[MAIN].values())
    stages = len({record.stage for record in results.find("accuracy")})
    return (
        f"{stages} model{'s' if stages > 1 else ''} on {count:,} problems that training never "
        f"saw: {listed}. The model names a step, works it out, summarises and verifies it, and "
        "then proceeds, backtracks or answers. No other program searches for it."
    )


def _headline_gains(results: Results, best: Record) -> list[Comparison]:
    """Over the first direct model, and over the stage before the last."""
    means = [one for one in results.comparisons if one.family == ALL and one.suite == MAIN]
    own = [one for one in means if (one.stage, one.budget) == (best.stage, best.budget)]
    stages = list(dict.fromkeys(one.than_stage for one in own if one.than_stage != best.stage))
    wanted = dict.fromkeys([*list(results.direct)[:1], *stages[-1:]])
    return [one for stage in wanted for one in own if one.than_stage == stage]


def _gain_fact(one: Comparison) -> TemplateData:
    over = stage_title(one.than_stage).lower()
    includes_zero = one.low <= 0 <= one.high
    return {
        "value": points(one.value),
        "unit": "points",
        "label": f"over {over}, same problems{'; no difference is shown' * includes_zero}",
        "range": signed_range(one.low, one.high),
    }


def _perplexity_fact(history: History) -> TemplateData:
    return {
        "value": _perplexity_change(history),
        "unit": "%",
        "label": "perplexity of ordinary text after continual pre-training",
        "range": f"{history.perplexity['before']:.2f} before",
    }


def _perplexity_change(history: History) -> str:
    """In per cent, with its sign."""
    return points(history.perplexity["after"] / history.perplexity["before"] - 1)


def budget_note(results: Results) -> str:
    """The introduction of the budget curves."""
    return (
        f"The last model, {_decoding(results)}, with a limit on the number of steps before it must "
        f"answer. {_chosen_budget(results)}"
    )


def _chosen_budget(results: Results) -> str:
    if not results.suites[VALIDATION]:
        return "There are no validation problems, so no budget is chosen."
    chosen = results.chosen_budget
    budget = "no budget" if chosen is None else f"{chosen} steps"
    return f"The budget chosen on validation problems is {budget}."


def _decoding(results: Results) -> str:
    """The decoding settings of a single completion."""
    temperature = results.temperature[results.final]
    return f"sampled at temperature {temperature:g}" if temperature else "greedy"


def perplexity(history: History) -> str:
    """The sentence about ordinary text; empty if it was not measured."""
    if not history.perplexity:
        return ""
    before, after = history.perplexity["before"], history.perplexity["after"]
    return (
        f"Perplexity of held-out ordinary text is {before:.2f} before continual pre-training and "
        f"{after:.2f} after it ({_perplexity_change(history)} %)."
    )


def method(results: Results, history: History) -> TemplateData:
    """The methods of measurement, the cost of the run, and what is missing."""
    limits = results.recipe["eval"]
    paragraphs = [
        _SPLITS + _test_file(results) + _leaks(results),
        (
            f"Direct answers are greedy. Searches are {_decoding(results)}; the samples for votes "
            f"and best-of-n have temperature {limits['temperature']}. A completion has at most "
            f"{limits['max_tokens']:,} tokens.{_compute(results)}"
        ),
        _INTERVALS,
    ]
    if history.missing:
        paragraphs.append(f"Missing files, whose values are not shown: {_listed(history)}.")
    machine = history.machine
    where = f" on {machine['cores']} cores, {machine['platform']}" if machine else ""
    torch = f", torch {history.versions['torch']}" if "torch" in history.versions else ""
    return {
        "paragraphs": paragraphs,
        "cost": [_cost_row(name, cost) for name, cost in history.cost.items()],
        "recipe": json.dumps(results.recipe, indent=2, ensure_ascii=False),
        "footer": f"Run “{results.recipe['name']}”, seed {results.recipe['seed']}{where}{torch}.",
    }


def _listed(history: History) -> str:
    return ", ".join(history.missing)


def _test_file(results: Results) -> str:
    test = results.recipe.get("questions", {}).get("test")
    return f" All questions of {test} are test questions, whatever their hash." if test else ""


def _leaks(results: Results) -> str:
    if results.leaked is None:
        return " Whether training saw one of these problems was not checked."
    total = sum(sum(sizes.values()) for sizes in results.suites.values())
    leaked = sum(results.leaked.values())
    return f" {leaked:,} of the {total:,} questions of this evaluation are in the training data."


def _compute(results: Results) -> str:
    if not results.compute:
        return ""
    settings = results.compute
    threads = f"{settings['threads']} thread{'s' if settings['threads'] != 1 else ''}"
    return f" Computed in {settings['dtype']} on {settings['device']} with {threads}."


_SPLITS = (
    "A hash of a problem's canonical form decides its split, and isomorphic problems have the same "
    "form. So no seed, wording, name or language can bring a test problem into the training data."
)

_INTERVALS = (
    "All intervals are 95 %. Shares have Wilson's interval; rates of steps have the same at the "
    "effective sample size, since steps of one problem are alike. Differences on the same problems "
    "have Newcombe's interval for pairs. Means give each family the same weight."
)


def _cost_row(name: str, cost: Any) -> TemplateData:
    minutes, seconds = divmod(round(cost["seconds"]), 60)
    memory = cost.get("peak_memory_mb")
    return {
        "title": stage_title(name) if name in STAGE_TITLES else name.capitalize(),
        "time": f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s",
        "memory": f"{memory:,.0f} MB" if memory else "not measured",
    }
