"""Solved problems: which problems of a suite a model solves, cached on disk.

model folder, suite -> step budget -> Solved;  Solved -> Estimates

They are measured by the evaluation's own runner, on the same problems for every model, so that
differences are paired. The cache's key is the model's weights and everything else that decides the
result. Step budgets are chosen on validation problems only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.setting import Setting
from steiner import __version__
from steiner.evaluation.budget_curves import choose_budget, within_budgets
from steiner.evaluation.graded_answers import grade_completion
from steiner.evaluation.model_runner import ItemCompletion, ModelRunner
from steiner.evaluation.statistics import Estimate, difference, mean_of, proportion
from steiner.evaluation.suites import MAIN, VALIDATION, suites
from steiner.files import model_digest, read_json, write_json

BUDGETS = (2, 4, 8, 16, 32)
"""Step budgets of the table; the recipe may name more."""

Solved = Mapping[str, Mapping[str, bool]]
"""Family -> problem key -> True if the problem was solved."""


def solved(setting: Setting, model: Path, suite: str = MAIN) -> Mapping[int | None, Solved]:
    """The problems of `suite` that the model in the folder solves, by step budget.

    None stands for no budget. A model that does not reason has no other.
    """
    file = setting.cache / "solved" / f"{_digest(setting, model, suite)}.json"
    if not file.exists():
        measured = _measure(setting, model, suite)
        write_json(file, {str(budget or 0): found for budget, found in measured.items()})
    return {int(budget) or None: found for budget, found in read_json(file).items()}


def accuracy(found: Solved) -> Estimate:
    """The mean of the families' accuracies."""
    return mean_of([family_accuracy(own) for own in found.values()])


def family_accuracy(found: Mapping[str, bool]) -> Estimate:
    """The accuracy of one family."""
    return proportion(list(found.values()))


def gain(first: Solved, second: Solved) -> Estimate:
    """Mean accuracy of `first` less that of `second`, on the problems that both have."""
    return mean_of([_family_gain(own, second[name]) for name, own in first.items()])


def _family_gain(first: Mapping[str, bool], second: Mapping[str, bool]) -> Estimate:
    keys = [key for key in first if key in second]
    return difference([first[key] for key in keys], [second[key] for key in keys])


def chosen_budget(setting: Setting, model: Path) -> int | None:
    """The step budget that the evaluation's rule chooses on validation problems; None for none."""
    found = solved(setting, model, VALIDATION)
    return choose_budget(
        {
            budget: [right for own in by_family.values() for right in own.values()]
            for budget, by_family in found.items()
        }
    )


def _digest(setting: Setting, model: Path, suite: str) -> str:
    recipe = setting.recipe
    keys = recipe.digest("seed", "language", "problems", "eval.max_tokens")
    parts = [__version__, keys, _budgets(setting), setting.problems, suite, model_digest(model)]
    parts.append(hashlib.sha256("/".join(_problem_keys(setting, suite)).encode()).hexdigest())
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _problem_keys(setting: Setting, suite: str) -> list[str]:
    items = suites()[suite].items(setting.recipe, setting.problems)
    return [f"{item.problem.key} {item.problem.question}" for item in items]


def _budgets(setting: Setting) -> list[int]:
    return sorted({*BUDGETS, *setting.recipe.eval.budgets})


def _measure(setting: Setting, model: Path, suite: str) -> dict[int | None, Solved]:
    runner = ModelRunner(model.name, str(model), setting.recipe)
    items = suites()[suite].items(setting.recipe, setting.problems)
    rollouts = runner.generate([runner.request(item) for item in items], suite)
    free = [ItemCompletion(*pair) for pair in zip(items, rollouts, strict=True)]
    measured: dict[int | None, Solved] = {None: _graded(free)}
    if runner.reasons:
        limited = within_budgets(runner, free, _budgets(setting), f"{suite} within budgets")
        measured |= {budget: _graded(completions) for budget, completions in limited.items()}
    return measured


def _graded(completions: Sequence[ItemCompletion]) -> Solved:
    found: dict[str, dict[str, bool]] = {}
    for completion in completions:
        answer = grade_completion("", completion)
        found.setdefault(answer.family, {})[answer.key] = answer.right
    return found
