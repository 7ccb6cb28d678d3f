"""What an evaluation found, as plain records.

Outcomes -> Records and Comparisons;  Results <-> results.json
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from steiner.evaluation.graded_answers import GradedAnswer
from steiner.evaluation.sampling_baselines import RULES, tries
from steiner.evaluation.statistics import Estimate, difference, mcnemar, mean_of, proportion
from steiner.files import read_json, write_json

ALL = "all"
"""In place of a family: the plain mean of the families."""


@dataclass(frozen=True, slots=True)
class Record:
    """One measured figure.

    `metric` is "accuracy" on the main suite, "accuracy/SUITE" on another, "one_search",
    "majority@K", "best@K" or "pass@K" on the sampled part of the main suite, "steps" for the mean
    number of them, or a rate of behaviour.py.
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
    """Mean tokens written for one problem."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How much more often one setting is right than another on the same problems."""

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
    """McNemar's exact p-value, all families together."""


@dataclass(frozen=True, slots=True)
class Results:
    """A whole evaluation."""

    recipe: Mapping[str, Any]
    final: str
    """The stage that is searched, sampled and drawn in full: the last."""
    direct: Sequence[str]
    """Stages that answer without reasoning."""
    chosen_budget: int | None
    """Of the last stage, chosen on validation problems; None for no budget."""
    temperature: Mapping[str, float]
    """By stage, of a search that is no sample: what the model asks for."""
    suites: Mapping[str, Mapping[str, int]]
    """Suite -> family -> how many problems."""
    records: Sequence[Record]
    comparisons: Sequence[Comparison]
    cost: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Stage -> seconds, and tokens decoded."""

    def budget_of(self, stage: str) -> int | None:
        """The budget chosen for a stage: only the last has one."""
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
        """The records of a metric, all of them or those of one stage or family."""
        return [
            record
            for record in self.records
            if record.metric == metric
            and stage in (None, record.stage)
            and family in (None, record.family)
        ]

    def find_all(self, prefix: str) -> list[Record]:
        """The records of every metric that begins so."""
        return [record for record in self.records if record.metric.startswith(prefix)]


def write_results(file: Path, results: Results) -> None:
    """Write results.json, whole or not at all."""
    write_json(file, asdict(results))


def read_results(file: Path) -> Results:
    """The Results in a results.json. Raises RunError where it is cut short."""
    found = dict(read_json(file))
    found["records"] = [Record(**record) for record in found["records"]]
    found["comparisons"] = [Comparison(**one) for one in found["comparisons"]]
    return Results(**found)


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


def accuracy_records(metric: str, outcomes: Sequence[GradedAnswer]) -> list[Record]:
    """Accuracy by stage, budget and family, and its mean over families."""
    found = []
    for (stage, budget), part in _grouped(outcomes, lambda o: (o.stage, o.budget)).items():
        families = _grouped(part, lambda o: o.family)
        estimates = {name: proportion([o.right for o in own]) for name, own in families.items()}
        tokens = {name: _mean([o.tokens for o in own]) for name, own in families.items()}
        estimates[ALL] = mean_of(list(estimates.values()))
        tokens[ALL] = _mean(list(tokens.values()))
        found += [
            record(stage, name, metric, estimate, budget=budget, tokens=tokens[name])
            for name, estimate in estimates.items()
        ]
    return found


def sampling_records(samples: Sequence[GradedAnswer]) -> list[Record]:
    """Majority vote, best of k and pass@k by budget and k, as means over families."""
    found = []
    for (stage, budget), part in _grouped(samples, lambda o: (o.stage, o.budget)).items():
        families = _grouped(part, lambda o: o.family).values()
        by_size = zip(*(tries(_by_problem(own), budget or 0) for own in families), strict=True)
        for same_k in by_size:
            tokens = _mean([_mean(one.tokens_P) for one in same_k])
            for rule in RULES:
                estimate = mean_of([proportion(one.right_P[rule]) for one in same_k])
                metric = f"{rule}@{same_k[0].k}"
                found.append(record(stage, ALL, metric, estimate, budget=budget, tokens=tokens))
    return found


def compare(first: Sequence[GradedAnswer], second: Sequence[GradedAnswer]) -> list[Comparison]:
    """`first` less `second`, by family and as their mean, on the problems that both have."""
    than = {(o.family, o.key): o for o in second}
    pairs = [(o, than[o.family, o.key]) for o in first if (o.family, o.key) in than]
    if not pairs:
        return []
    one, other = pairs[0]
    settings = (one.stage, one.budget, other.stage, other.budget)
    gains = {
        name: difference(*_rights(own)) for name, own in _grouped(pairs, _family_of_pair).items()
    }
    p = {name: mcnemar(*_rights(own)) for name, own in _grouped(pairs, _family_of_pair).items()}
    gains[ALL], p[ALL] = mean_of(list(gains.values())), mcnemar(*_rights(pairs))
    return [
        Comparison(name, *settings, gain.value, gain.low, gain.high, gain.n, p[name])
        for name, gain in gains.items()
    ]


_Pair = tuple[GradedAnswer, GradedAnswer]


def _family_of_pair(pair: _Pair) -> str:
    return pair[0].family


def _rights(pairs: Sequence[_Pair]) -> tuple[list[bool], list[bool]]:
    return [one.right for one, _ in pairs], [other.right for _, other in pairs]


def _by_problem(samples: Iterable[GradedAnswer]) -> list[list[GradedAnswer]]:
    return [
        sorted(own, key=lambda o: o.sample or 0)
        for own in _grouped(samples, lambda o: o.key).values()
    ]


def _grouped(items: Iterable[Any], key: Any) -> dict[Any, list[Any]]:
    """Items by key, in the order in which the keys first appear."""
    groups: dict[Any, list[Any]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return dict(groups)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
