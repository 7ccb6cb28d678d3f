"""Which held-out problems a model solves, kept on disk by the weights and what was asked.

model folder, split -> step budget -> Marks;  Marks -> Estimates

The evaluation's own runner, on distinct problems in training wordings: the same for every model, so
that differences are paired. On test problems is only measured; whatever is chosen
is chosen on validation problems.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.setting import Setting, model_digest
from steiner import __version__
from steiner.evaluation.budget_curves import choose_budget, within_budgets
from steiner.evaluation.graded_answers import judge
from steiner.evaluation.model_runner import Runner, Search
from steiner.evaluation.statistics import Estimate, difference, mean_of, proportion
from steiner.evaluation.suites import Task, problems_of
from steiner.files import read_json, write_json
from steiner.types import Split

BUDGETS = (2, 4, 8, 16, 32)
"""Step budgets of the issue's table; the recipe may name more."""

Marks = Mapping[str, list[bool]]
"""Family -> whether each of its P problems was solved."""


def marks(setting: Setting, model: Path, split: Split = Split.TEST) -> Mapping[int | None, Marks]:
    """The problems of `split` that the model in the folder solves: without a step budget (None),
    and, where it reasons, within each budget."""
    file = setting.cache / "marks" / f"{_digest(setting, model, split)}.json"
    if not file.exists():
        write_json(file, {str(budget or 0): found for budget, found in _ask(setting, model, split)})
    return {int(budget) or None: found for budget, found in read_json(file).items()}


def accuracy(found: Marks) -> Estimate:
    """The mean of the families' shares."""
    return mean_of([proportion(right_P) for right_P in found.values()])


def gain(first: Marks, second: Marks) -> Estimate:
    """How much larger the mean share of `first` is than that of `second`, problem by problem."""
    return mean_of([difference(first[name], second[name]) for name in first])


def chosen_budget(setting: Setting, model: Path) -> int | None:
    """The step budget that the evaluation's rule chooses on validation problems; None for none."""
    found = marks(setting, model, Split.VALIDATION)
    return choose_budget(
        {
            budget: [right for right_P in by_family.values() for right in right_P]
            for budget, by_family in found.items()
        }
    )


def _digest(setting: Setting, model: Path, split: Split) -> str:
    recipe = setting.recipe
    asked = recipe.digest("seed", "language", "problems", "eval.max_tokens")
    parts = [__version__, asked, _budgets(setting), setting.problems, str(split)]
    text = json.dumps([*parts, model_digest(model)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _budgets(setting: Setting) -> list[int]:
    return sorted({*BUDGETS, *setting.recipe.eval.budgets})


def _ask(setting: Setting, model: Path, split: Split) -> list[tuple[int | None, Marks]]:
    recipe = setting.recipe
    runner = Runner(model.name, str(model), recipe)
    tasks = [Task(split, problem) for problem in problems_of(recipe, split, setting.problems)]
    rollouts = runner.generate([runner.search(task) for task in tasks], f"{split} problems")
    free = [Search(*pair) for pair in zip(tasks, rollouts, strict=True)]
    if not runner.reasons:
        return [(None, _marked(free))]
    limited = within_budgets(runner, free, _budgets(setting), f"{split} problems within budgets")
    return [(None, _marked(free)), *((b, _marked(searches)) for b, searches in limited.items())]


def _marked(searches: Sequence[Search]) -> Marks:
    found: dict[str, list[bool]] = {}
    for search in searches:
        outcome = judge("", search.task, search.rollout)
        found.setdefault(outcome.family, []).append(outcome.right)
    return found
