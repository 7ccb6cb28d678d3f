"""Fresh shortest paths for the baselines, with the packaged recipes."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest

from experiments import fresh_paths
from experiments.fresh_paths import shortest_paths
from steiner.recipe_file import load_recipe
from steiner.types import Decision


@pytest.mark.parametrize("name", ["tiny", "reasoner", "smollm2-135m"])
def test_every_family_with_a_state_space_has_paths(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipes also name messages to decline, which have no paths."""
    monkeypatch.setattr(fresh_paths, "BLOCK", 3)
    recipe = load_recipe(name)
    recipe = replace(recipe, synth=replace(recipe.synth, workers=1))
    assert "other" in recipe.problems.levels
    paths = list(islice(shortest_paths(recipe, "test"), 48))
    families = {path.problem.family for path in paths}
    assert families == set(recipe.problems.levels) - {"other"}
    assert all(step.decision is not Decision.BACKTRACK for path in paths for step in path.steps)


def test_lower_levels_are_as_frequent_as_in_the_synthesis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh_paths, "BLOCK", 1)
    recipe = load_recipe("reasoner", ["synth.easier=0.5", "synth.workers=1"])
    paths = islice(shortest_paths(recipe, "test"), 240)
    levels = [path.problem.level for path in paths]
    assert set(levels) == {1, 2}
    assert 80 < levels.count(1) < 160
    same = load_recipe("reasoner", ["synth.easier=0", "synth.workers=1"])
    assert {path.problem.level for path in islice(shortest_paths(same, "test"), 48)} == {2}
