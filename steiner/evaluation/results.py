"""The results of an evaluation as plain records.

GradedAnswers -> Records and Comparisons;  Results <-> results.json
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from steiner.evaluation.graded_answers import GradedAnswer
from steiner.evaluation.sampling_baselines import RULES, sampled_answers
from steiner.evaluation.statistics import Estimate, difference, mcnemar, mean_of, proportion
from steiner.evaluation.suites import MAIN
from steiner.files import read_json, write_json

T = TypeVar("T")
K = TypeVar("K")

ALL = "all"
"""In place of a family: the mean over families, each with the same weight."""


@dataclass(frozen=True, slots=True)
class Record:
    """One measured value.

    `metric` is "accuracy" on the main suite, "accuracy/SUITE" on another, "restated" or
    "restated/SUITE" for questions restated rightly, "one_search",
    "majority@K", "best@K" or "pass@K" on the sampled part of the main suite, "steps" for their mean
    number, or a rate of behaviour.py.
    """

    stage: str
    family: str
    metric: str
    budget: int | None
    """max_steps; None without a step budget."""
    value: float
    low: float
    high: float
    n: int
    tokens: float | None = None
    """Mean completion tokens per problem."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference of two accuracies on the same problems: the first less the second."""

    family: str
    stage: str
    budget: int | None
    than_stage: str
    than_budget: int | None
    value: float
    low: float
    high: float
    n: int
    p: float
    """McNemar's exact p-value, over all families together."""
    suite: str = MAIN
    """Suite of the first; the second is always the main suite."""


@dataclass(frozen=True, slots=True)
class Results:
    """A whole evaluation."""

    recipe: Mapping[str, Any]
    final: str
    """The last stage, which is evaluated on all suites and within all budgets."""
    direct: Sequence[str]
    """Stages that answer without reasoning."""
    chosen_budget: int | None
    """Step budget of the last stage, chosen on validation problems; None for no budget."""
    temperature: Mapping[str, float]
    """Stage -> temperature of a single completion, as its generation_config.json says."""
    suites: Mapping[str, Mapping[str, int]]
    """Suite -> family -> number of problems."""
    records: Sequence[Record]
    comparisons: Sequence[Comparison]
    cost: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Stage -> seconds and decoded tokens."""
    compute: Mapping[str, Any] = field(default_factory=dict)
    """Device, number format, threads and torch version of the evaluation."""
    leaked: Mapping[str, int] | None = None
    """Suite -> number of problems that the training data contain; None if not checked."""
    untraced: Mapping[str, int] = field(default_factory=dict)
    """Family without exact DAGs -> number of its problems left out of the step rates."""

    def budget_of(self, stage: str) -> int | None:
        """The budget chosen for a stage; only the last one has a budget."""
        return self.chosen_budget if stage == self.final else None

    @property
    def headline(self) -> str:
        """The last stage's accuracy without a step budget, in a few words."""
        found = self.find("accuracy", stage=self.final, family=ALL)
        best = next(record for record in found if record.budget is None)
        low, high = 100 * best.low, 100 * best.high
        return (
            f"{self.final}: {100 * best.value:.1f} % of held-out problems [{low:.1f}, {high:.1f}]"
        )

    def find(
        self, metric: str, *, stage: str | None = None, family: str | None = None
    ) -> list[Record]:
        """The records of a metric, of all stages and families or of the given ones."""
        return [
            record
            for record in self.records
            if record.metric == metric
            and stage in (None, record.stage)
            and family in (None, record.family)
        ]

    def find_all(self, prefix: str) -> list[Record]:
        """The records of every metric whose name begins with `prefix`."""
        return [record for record in self.records if record.metric.startswith(prefix)]


def write_results(file: Path, results: Results) -> None:
    """Writes results.json; an existing file is replaced only by a complete one."""
    write_json(file, asdict(results))


def read_results(file: Path) -> Results:
    """Reads a results.json. Raises RunError if the file is incomplete."""
    content = dict(read_json(file))
    content["records"] = [Record(**record) for record in content["records"]]
    content["comparisons"] = [Comparison(**one) for one in content["comparisons"]]
    return Results(**content)


def accuracy_metric(suite: str) -> str:
    """The metric name of the accuracy on a suite."""
    return "accuracy" if suite == MAIN else f"accuracy/{suite}"


def record(
    stage: str,
    family: str,
    metric: str,
    estimate: Estimate,
    *,
    budget: int | None = None,
    tokens: float | None = None,
) -> Record:
    """The Record of an Estimate."""
    bounds = (estimate.value, estimate.low, estimate.high, estimate.n)
    return Record(stage, family, metric, budget, *bounds, tokens)


def accuracy_records(metric: str, answers: Sequence[GradedAnswer]) -> list[Record]:
    """Accuracy by stage, budget and family, and the mean over families."""
    records = []
    for (stage, budget), part in grouped(answers, lambda a: (a.stage, a.budget)).items():
        families = grouped(part, lambda a: a.family)
        estimates = {name: proportion([a.right for a in own]) for name, own in families.items()}
        tokens = {name: _mean([a.tokens for a in own]) for name, own in families.items()}
        estimates[ALL] = mean_of(list(estimates.values()))
        tokens[ALL] = _mean(list(tokens.values()))
        records += [
            record(stage, name, metric, estimate, budget=budget, tokens=tokens[name])
            for name, estimate in estimates.items()
        ]
    return records


def restated_records(suite: str, answers: Sequence[GradedAnswer]) -> list[Record]:
    """The share of first steps that restate the question correctly, by stage, budget and family."""
    readable = [answer for answer in answers if answer.restated is not None]
    metric = "restated" if suite == MAIN else f"restated/{suite}"
    return accuracy_records(metric, [replace(a, right=bool(a.restated)) for a in readable])


def sampling_records(samples: Sequence[GradedAnswer]) -> list[Record]:
    """Majority vote, best of k and pass@k by budget and k, as means over families."""
    records = []
    for (stage, budget), part in grouped(samples, lambda a: (a.stage, a.budget)).items():
        families = grouped(part, lambda a: a.family).values()
        by_family = [sampled_answers(_by_problem(own), budget or 0) for own in families]
        for same_k in zip(*by_family, strict=True):
            tokens = _mean([_mean(one.tokens_P) for one in same_k])
            for rule in RULES:
                estimate = mean_of([proportion(one.right_P[rule]) for one in same_k])
                metric = f"{rule}@{same_k[0].k}"
                records.append(record(stage, ALL, metric, estimate, budget=budget, tokens=tokens))
    return records


def compare(first: Sequence[GradedAnswer], second: Sequence[GradedAnswer]) -> list[Comparison]:
    """Accuracy of `first` less that of `second`, by family and as their mean.

    Only problems that both answered count. Each side has one stage, suite and budget.
    """
    by_problem = {(answer.family, answer.key): answer for answer in second}
    pairs = [
        (answer, by_problem[answer.family, answer.key])
        for answer in first
        if (answer.family, answer.key) in by_problem
    ]
    if not pairs:
        return []
    families = grouped(pairs, lambda pair: pair[0].family)
    gains = {name: difference(*_rights(own)) for name, own in families.items()}
    p_values = {name: mcnemar(*_rights(own)) for name, own in families.items()}
    gains[ALL], p_values[ALL] = mean_of(list(gains.values())), mcnemar(*_rights(pairs))
    one, other = pairs[0]
    return [
        Comparison(
            name,
            one.stage,
            one.budget,
            other.stage,
            other.budget,
            gain.value,
            gain.low,
            gain.high,
            gain.n,
            p_values[name],
            one.suite,
        )
        for name, gain in gains.items()
    ]


def _rights(
    pairs: Sequence[tuple[GradedAnswer, GradedAnswer]],
) -> tuple[list[bool], list[bool]]:
    return [one.right for one, _ in pairs], [other.right for _, other in pairs]


def _by_problem(samples: Iterable[GradedAnswer]) -> list[list[GradedAnswer]]:
    return [
        sorted(own, key=lambda answer: answer.sample or 0)
        for own in grouped(samples, lambda answer: answer.key).values()
    ]


def grouped(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Items by key, in the order in which the keys first appear."""
    groups: dict[K, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return dict(groups)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
