"""`steiner eval`: evaluates the model of every stage.

Recipe, model folders -> results.json, transcripts.json, graded_answers.parquet

Each model is loaded once and answers the main suite in one pass of the backend, without a step
budget. The last model gets all suites and the samples in that pass, and two more passes: the
answers within each budget on the main suite, the validation problems and the samples, from which
its budget is chosen; then the other suites within that budget. Only the first pass takes long,
since the later ones decode answers only (budget_curves.py).

A task needs a generator and a grader. Step rates and transcripts need exact DAGs too; for other
tasks they are left out and counted in `Results.untraced`.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from steiner.dags.source import DagSource, SolverDagSource
from steiner.dags.store import problem_keys
from steiner.evaluation.behaviour import answer_rates, has_exact_dag, step_rates, traces
from steiner.evaluation.budget_curves import choose_budget, within_budgets
from steiner.evaluation.graded_answers import (
    GradedAnswer,
    grade_completion,
    write_graded_answers,
)
from steiner.evaluation.leak_check import num_leaked
from steiner.evaluation.model_runner import (
    ItemCompletion,
    MakeBackend,
    ModelRunner,
    embedded_engine,
)
from steiner.evaluation.results import (
    ALL,
    Comparison,
    Record,
    Results,
    accuracy_metric,
    accuracy_records,
    compare,
    grouped,
    record,
    restated_records,
    sampling_records,
    write_results,
)
from steiner.evaluation.suites import (
    MAIN,
    VALIDATION,
    EvalItem,
    num_problems,
    require_test_problems,
    suites,
)
from steiner.evaluation.transcripts import select_transcripts
from steiner.files import write_json
from steiner.models.precision import compute_settings
from steiner.progress import plural
from steiner.recipe import Recipe
from steiner.tasks import task
from steiner.tasks.protocols import HeldOutGenerator
from steiner.types import Split, UserError

_SAMPLED_SHARE = 0.25
"""Problems with samples per family, as a share of `eval.problems_per_family`."""


def evaluate(
    recipe: Recipe,
    models: Mapping[str, str],
    out_dir: Path,
    *,
    training_data: Path | None = None,
    dags: DagSource | None = None,
    make_backend: MakeBackend = embedded_engine,
) -> Results:
    """Evaluates `models` (label -> folder or Hub name, in the order of training) into `out_dir`.

    The last model is the run's result: only it gets all suites, all budgets, samples and
    transcripts. With `training_data`, the folder of `steiner synth`, problems that it contains are
    counted in `Results.leaked`. Without validation problems, no budget is chosen. Raises UserError
    if a model cannot be loaded, or if the recipe names no task or one without test problems.
    """
    if not recipe.problems.levels:
        raise UserError("the recipe names no task", "add [problems.levels] with a level for each")
    require_test_problems(recipe)
    items = [item for suite in suites().values() for item in suite.items(recipe)]
    for note in _notes(recipe, items):
        print(f"evaluate: {note}", file=sys.stderr)
    evaluation = _Evaluation(recipe, list(models)[-1], items, dags or SolverDagSource())
    evaluation.check_for_leaks(training_data)
    for stage, source in models.items():
        evaluation.add_model(ModelRunner(stage, source, recipe, make_backend))
    results = evaluation.results()
    write_graded_answers(out_dir / "graded_answers.parquet", evaluation.answers)
    write_json(out_dir / "transcripts.json", {"transcripts": evaluation.transcripts})
    write_results(out_dir / "results.json", results)
    return results


def _notes(recipe: Recipe, items: Sequence[EvalItem]) -> Iterator[str]:
    """A line for each part that the evaluation leaves out."""
    used = Counter(item.problem.family for item in items if item.suite == MAIN)
    for name in recipe.problems.levels:
        generator = task(name).generator
        own = generator.held_out(Split.TEST) if isinstance(generator, HeldOutGenerator) else None
        if own is not None and len(own) > used[name]:
            yield (
                f"{used[name]:,} of the {len(own):,} test questions of {name}; for all, "
                f"--set eval.problems_per_family={len(own)}"
            )
    if not any(item.suite == VALIDATION for item in items):
        yield "no validation problems, so no step budget is chosen"


@dataclass(slots=True)
class _Evaluation:
    """The state of one evaluation; models are added one by one."""

    recipe: Recipe
    final: str
    items: Sequence[EvalItem]
    dags: DagSource
    answers: list[GradedAnswer] = field(default_factory=list)
    behaviour: list[Record] = field(default_factory=list)
    transcripts: list[dict[str, Any]] = field(default_factory=list)
    chosen_budget: int | None = None
    temperature: dict[str, float] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)
    direct: list[str] = field(default_factory=list)
    cost: dict[str, dict[str, float]] = field(default_factory=dict)
    leaked: dict[str, int] | None = None
    untraced: dict[str, int] = field(default_factory=dict)

    def check_for_leaks(self, training_data: Path | None) -> None:
        """Counts problems that the training data contain, and warns if there are any."""
        if training_data is None:
            return
        self.leaked = num_leaked(self.items, problem_keys(training_data))
        for suite, count in self.leaked.items():
            if count:
                print(
                    f"warning: in the training data: {plural(count, 'problem')} of suite '{suite}'",
                    file=sys.stderr,
                )

    def add_model(self, runner: ModelRunner) -> None:
        """Evaluates one model."""
        start = time.perf_counter()
        self.temperature[runner.stage] = runner.own_sampling.temperature
        self.dtypes[runner.stage] = runner.dtype
        is_final = runner.stage == self.final
        items = [item for item in self.items if is_final or item.suite == MAIN]
        if runner.reasons:
            self._add_reasoning_model(runner, items)
        else:
            self._add_direct_model(runner, items)
        seconds = round(time.perf_counter() - start, 2)
        self.cost[runner.stage] = {"seconds": seconds, "tokens": runner.num_tokens}

    def _add_direct_model(self, runner: ModelRunner, items: Sequence[EvalItem]) -> None:
        own = [item for item in items if not suites()[item.suite].needs_reasoning]
        rollouts = runner.generate([runner.request(item) for item in own], "answers")
        self.direct.append(runner.stage)
        self._grade(
            runner, [ItemCompletion(*pair) for pair in zip(own, rollouts, strict=True)], None
        )

    def _add_reasoning_model(self, runner: ModelRunner, items: Sequence[EvalItem]) -> None:
        is_final = runner.stage == self.final
        single, samples = _complete(
            runner, items, _items_to_sample(self.recipe, items) if is_final else []
        )
        self._grade(runner, single, None)
        if is_final:
            self._add_budgets(runner, single, samples)
        self._add_behaviour(runner, [one for one in single if one.item.suite == MAIN])

    def _add_budgets(
        self,
        runner: ModelRunner,
        single: Sequence[ItemCompletion],
        samples: Sequence[ItemCompletion],
    ) -> None:
        """Grades the answers within every budget; on the side suites, within the chosen one."""
        swept = [one for one in single if one.item.suite in (MAIN, VALIDATION)]
        limited = within_budgets(runner, [*swept, *samples], self.recipe.eval.budgets, "budgets")
        for budget, completions in limited.items():
            self._grade(runner, completions, budget)
        self.chosen_budget = chosen = choose_budget(
            {
                budget: [answer.right for answer in own]
                for budget, own in grouped(
                    [a for a in self.answers if (a.stage, a.suite) == (self.final, VALIDATION)],
                    lambda answer: answer.budget,
                ).items()
            }
        )
        if chosen is not None:
            side = [one for one in single if one.item.suite not in (MAIN, VALIDATION)]
            self._grade(
                runner, within_budgets(runner, side, [chosen], "chosen budget")[chosen], chosen
            )

    def _grade(
        self, runner: ModelRunner, completions: Sequence[ItemCompletion], budget: int | None
    ) -> None:
        self.answers += [grade_completion(runner.stage, one, budget) for one in completions]

    def _add_behaviour(self, runner: ModelRunner, completions: Sequence[ItemCompletion]) -> None:
        """Rates by family and over all; transcripts of the last model."""
        traceable = [one for one in completions if has_exact_dag(one)]
        traced = traces(traceable, self.dags)
        families = dict.fromkeys(one.item.problem.family for one in completions)
        for name in (*families, ALL):
            own = [one for one in completions if name in (ALL, one.item.problem.family)]
            own_traces = [
                trace
                for one, trace in zip(traceable, traced, strict=True)
                if name in (ALL, one.item.problem.family)
            ]
            rates = answer_rates(own) | (step_rates(own_traces) if own_traces else {})
            self.behaviour += [record(runner.stage, name, key, rates[key]) for key in rates]
        if runner.stage == self.final:
            others = [one for one in completions if not has_exact_dag(one)]
            self.untraced = dict(Counter(one.item.problem.family for one in others))
            self.transcripts = select_transcripts(runner.stage, traceable, traced)

    def results(self) -> Results:
        """The Results of all models that were added."""
        single = [answer for answer in self.answers if answer.sample is None]
        samples = [answer for answer in self.answers if answer.sample is not None]
        sampled_keys = {answer.key for answer in samples}
        one_search = [
            answer
            for answer in single
            if (answer.stage, answer.suite) == (self.final, MAIN) and answer.key in sampled_keys
        ]
        by_suite = grouped(single, lambda answer: answer.suite)
        records = list(self.behaviour)
        for suite in suites():
            records += accuracy_records(accuracy_metric(suite), by_suite.get(suite, []))
            records += restated_records(suite, by_suite.get(suite, []))
        records += accuracy_records("one_search", one_search) + sampling_records(samples)
        return Results(
            recipe=asdict(self.recipe),
            final=self.final,
            direct=self.direct,
            chosen_budget=self.chosen_budget,
            temperature=self.temperature,
            suites={
                suite: dict(Counter(i.problem.family for i in self.items if i.suite == suite))
                for suite in suites()
            },
            records=records,
            comparisons=[
                *_stage_comparisons(self.final, by_suite[MAIN], self.chosen_budget),
                *_suite_comparisons(self.final, by_suite, self.chosen_budget),
            ],
            cost=self.cost,
            compute=compute_settings(_shared(self.dtypes)),
            leaked=self.leaked,
            untraced=self.untraced,
        )


def _shared(dtypes: Mapping[str, str]) -> str:
    """The number format of all models, or that of each: a CPU decodes small ones in another."""
    formats = list(dict.fromkeys(dtypes.values()))
    if len(formats) == 1:
        return formats[0]
    return ", ".join(f"{dtype} ({stage})" for stage, dtype in dtypes.items())


def _complete(
    runner: ModelRunner, items: Sequence[EvalItem], to_sample: Sequence[EvalItem]
) -> tuple[list[ItemCompletion], list[ItemCompletion]]:
    """One completion of each item, and all samples of those to sample; one pass."""
    drawn = [(item, n) for item in to_sample for n in range(runner.recipe.eval.samples)]
    requests = [runner.request(item) for item in items]
    requests += [runner.sample_request(item, n) for item, n in drawn]
    rollouts = runner.generate(requests, "searches")
    single = [ItemCompletion(*pair) for pair in zip(items, rollouts, strict=False)]
    sampled = zip(drawn, rollouts[len(items) :], strict=True)
    return single, [ItemCompletion(item, rollout, n) for (item, n), rollout in sampled]


def _items_to_sample(recipe: Recipe, items: Sequence[EvalItem]) -> list[EvalItem]:
    """The first items of each family in the main suite."""
    main = [item for item in items if item.suite == MAIN]
    families = grouped(main, lambda item: item.problem.family).values()
    count = num_problems(recipe, _SAMPLED_SHARE)
    return [item for own in families for item in own[:count]]


def _stage_comparisons(
    final: str, answers: Sequence[GradedAnswer], chosen_budget: int | None
) -> list[Comparison]:
    """The last model, without a budget and within its own, less every model without a budget."""
    settings = grouped(answers, lambda answer: (answer.stage, answer.budget))
    firsts = dict.fromkeys([(final, None), (final, chosen_budget)])
    seconds = [(stage, budget) for stage, budget in settings if budget is None]
    return [
        comparison
        for first in firsts
        for second in seconds
        if first != second
        for comparison in compare(settings[first], settings[second])
    ]


def _suite_comparisons(
    final: str, by_suite: Mapping[str, Sequence[GradedAnswer]], chosen_budget: int | None
) -> list[Comparison]:
    """The last model on each paired suite, less the same problems of the main suite."""

    def own(suite: str) -> list[GradedAnswer]:
        answers = by_suite.get(suite, [])
        return [a for a in answers if (a.stage, a.budget) == (final, chosen_budget)]

    return [
        comparison
        for name, suite in suites().items()
        if suite.is_paired
        for comparison in compare(own(name), own(MAIN))
    ]
