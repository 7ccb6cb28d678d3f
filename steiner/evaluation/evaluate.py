"""The evaluation of a run: every stage's model on every suite, in as few passes as that takes.

Recipe, model folders -> results.json, transcripts.json, outcomes.parquet

Each model is loaded once and takes one pass of the engine over the main suite, without a step
budget. The last model's pass has all suites and the samples, and it takes two more: the answers
within each budget on the main suite, the validation problems and the samples, from which its budget
is chosen; the other answers within that budget. The first pass is nearly all of the time: with N
problems a family it is F families times N of the main suite, and for the last model N / 4 each of
three others and the samples of N / 4; the later ones decode answers only (scaling.py).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from steiner.evaluation.behaviour import behaviour, traces
from steiner.evaluation.budget_curves import choose_budget, within_budgets
from steiner.evaluation.graded_answers import GradedAnswer, judge, write_graded_answers
from steiner.evaluation.model_runner import Runner, Search
from steiner.evaluation.results import (
    ALL,
    Comparison,
    Record,
    Results,
    accuracy_records,
    compare,
    record,
    sampling_records,
    write_results,
)
from steiner.evaluation.suites import Task, side_count, suites
from steiner.evaluation.transcripts import pick
from steiner.files import write_json
from steiner.recipe import Recipe

MAIN = "test"
"""The suite that the headline figures are about."""

VALIDATION = "validation"
"""The suite that step budgets are chosen on."""


@dataclass(slots=True)
class _Findings:
    """What has been found so far."""

    outcomes: list[GradedAnswer] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    transcripts: list[dict[str, Any]] = field(default_factory=list)
    chosen_budget: int | None = None
    temperature: dict[str, float] = field(default_factory=dict)
    direct: list[str] = field(default_factory=list)
    cost: dict[str, dict[str, float]] = field(default_factory=dict)


def evaluate(recipe: Recipe, models: Mapping[str, str], out_dir: Path) -> Results:
    """Evaluates `models` (stage -> folder or hub name, in the order of training) into `out_dir`.

    The last is taken for the run's result: it alone is asked every suite, swept over all budgets,
    sampled and drawn.
    Raises UserError where a model cannot be loaded.
    """
    tasks = [task for suite in suites().values() for task in suite.tasks(recipe)]
    final = list(models)[-1]
    found = _Findings()
    for stage, source in models.items():
        started = time.perf_counter()
        runner = Runner(stage, source, recipe)
        found.temperature[stage] = runner.own_sampling.temperature
        asked = [task for task in tasks if stage == final or task.suite == MAIN]
        if runner.reasons:
            _reasoning(runner, asked, found, final=stage == final)
        else:
            _direct(runner, asked, found)
        seconds = round(time.perf_counter() - started, 2)
        found.cost[stage] = {"seconds": seconds, "tokens": runner.tokens}
    results = _results(recipe, final, tasks, found)
    write_graded_answers(out_dir / "outcomes.parquet", found.outcomes)
    write_json(out_dir / "transcripts.json", {"transcripts": found.transcripts})
    write_results(out_dir / "results.json", results)
    return results


def _direct(runner: Runner, tasks: Sequence[Task], found: _Findings) -> None:
    """One pass: the answers of a model that does not reason."""
    own = [task for task in tasks if not suites()[task.suite].needs_reasoning]
    rollouts = runner.generate([runner.search(task) for task in own], "answers")
    found.direct.append(runner.stage)
    found.outcomes += [judge(runner.stage, *pair) for pair in zip(own, rollouts, strict=True)]


def _reasoning(runner: Runner, tasks: Sequence[Task], found: _Findings, *, final: bool) -> None:
    """The searches of a model that reasons; of the last one, also how it does within budgets."""
    single, samples = _searches(runner, tasks, _sampled(runner.recipe, tasks) if final else [])
    _note(found, runner, single, None)
    if final:
        _budgets(runner, single, samples, found)
    _study(runner, [s for s in single if s.task.suite == MAIN], found, final=final)


def _budgets(
    runner: Runner, single: Sequence[Search], samples: Sequence[Search], found: _Findings
) -> None:
    """The answers within every budget; on the suites that are beside, within the chosen one."""
    swept = [s for s in single if s.task.suite in (MAIN, VALIDATION)]
    budgets = runner.recipe.eval.budgets
    within = within_budgets(runner, [*swept, *samples], budgets, "budgets")
    for budget, searches in within.items():
        _note(found, runner, searches, budget)
    found.chosen_budget = chosen = _choose(runner, found)
    if chosen is not None:
        rest = [s for s in single if s.task.suite not in (MAIN, VALIDATION)]
        left = within_budgets(runner, rest, [chosen], "chosen budget")
        _note(found, runner, left[chosen], chosen)


def _searches(
    runner: Runner, tasks: Sequence[Task], sampled: Sequence[Task]
) -> tuple[list[Search], list[Search]]:
    """The one search of every task, and the samples of those to be sampled; one pass."""
    chosen = [(task, n) for task in sampled for n in range(runner.recipe.eval.samples)]
    requests = [runner.search(task) for task in tasks]
    requests += [runner.sampled(task, n) for task, n in chosen]
    rollouts = runner.generate(requests, "searches")
    single = [Search(*pair) for pair in zip(tasks, rollouts, strict=False)]
    drawn = zip(chosen, rollouts[len(tasks) :], strict=True)
    return single, [Search(task, rollout, n) for (task, n), rollout in drawn]


def _sampled(recipe: Recipe, tasks: Sequence[Task]) -> list[Task]:
    """The first tasks of each family in the main suite."""
    main = [task for task in tasks if task.suite == MAIN]
    return [
        task
        for name in recipe.problems.levels
        for task in [t for t in main if t.problem.family == name][: side_count(recipe)]
    ]


def _note(found: _Findings, runner: Runner, searches: Sequence[Search], budget: int | None) -> None:
    found.outcomes += [judge(runner.stage, s.task, s.rollout, budget, s.sample) for s in searches]


def _choose(runner: Runner, found: _Findings) -> int | None:
    """The budget by the validation suite; no budget where the recipe names none."""
    right_P: dict[int | None, list[bool]] = {}
    for outcome in found.outcomes:
        if outcome.stage == runner.stage and outcome.suite == VALIDATION:
            right_P.setdefault(outcome.budget, []).append(outcome.right)
    return choose_budget(right_P)


def _study(runner: Runner, searches: Sequence[Search], found: _Findings, *, final: bool) -> None:
    """How the model searches, by family; and of the last model, transcripts."""
    traced = traces(searches)
    families = dict.fromkeys(search.task.problem.family for search in searches)
    for name in (*families, ALL):
        places = [i for i, s in enumerate(searches) if name in (ALL, s.task.problem.family)]
        rates = behaviour([searches[i] for i in places], [traced[i] for i in places])
        found.records += [record(runner.stage, name, key, rates[key]) for key in rates]
    if final:
        found.transcripts = pick(runner.stage, searches, traced)


def _results(recipe: Recipe, final: str, tasks: Sequence[Task], found: _Findings) -> Results:
    single = [outcome for outcome in found.outcomes if outcome.sample is None]
    samples = [outcome for outcome in found.outcomes if outcome.sample is not None]
    keys = {outcome.key for outcome in samples}
    for name in suites():
        metric = "accuracy" if name == MAIN else f"accuracy/{name}"
        found.records += accuracy_records(metric, [o for o in single if o.suite == name])
    beside = [o for o in single if o.suite == MAIN and o.key in keys and o.stage == final]
    found.records += accuracy_records("one_search", beside)
    found.records += sampling_records(samples)
    sizes = {
        name: dict(Counter(t.problem.family for t in tasks if t.suite == name)) for name in suites()
    }
    return Results(
        recipe=asdict(recipe),
        final=final,
        direct=found.direct,
        chosen_budget=found.chosen_budget,
        temperature=found.temperature,
        suites=sizes,
        records=found.records,
        comparisons=_comparisons(final, single, found.chosen_budget),
        cost=found.cost,
    )


def _comparisons(
    final: str, single: Sequence[GradedAnswer], chosen_budget: int | None
) -> list[Comparison]:
    """The last model, without a budget and within its own, against every other without one."""
    settings: dict[tuple[str, int | None], list[GradedAnswer]] = {}
    for outcome in single:
        if outcome.suite == MAIN:
            settings.setdefault((outcome.stage, outcome.budget), []).append(outcome)
    own = dict.fromkeys([(final, None), (final, chosen_budget)])
    others = [(stage, budget) for stage, budget in settings if budget is None]
    return [
        one
        for first in own
        for second in others
        if first != second
        for one in compare(settings[first], settings[second])
    ]
