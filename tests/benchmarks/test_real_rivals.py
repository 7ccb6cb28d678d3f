"""The rivals of a real base are trained on as many tokens as ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import real_rivals
from benchmarks.setting import Setting
from steiner.recipe import EMBEDDED_BASE, Recipe
from steiner.recipe_file import load_recipe


@pytest.mark.parametrize("tokens", [1_000, 900_000])
def test_rivals_get_as_many_tokens(tokens: int, tmp_path: Path) -> None:
    setting = Setting(
        recipe=load_recipe("smoke"),
        recipe_name="smoke",
        run_dir=tmp_path / "smoke",
        cache=tmp_path / "bench" / "smoke",
        base=str(EMBEDDED_BASE),
        tokens=tokens,
    )
    own = real_rivals.own_setting(setting)
    assert own.recipe.cpt.tokens + own.recipe.sft.tokens == tokens
    assert own.recipe.base.source == str(EMBEDDED_BASE)
    assert own.run_dir == own.cache == tmp_path / "bench" / f"rivals-base-{tokens}"
    asked: list[int] = []

    def train(recipe: Recipe, out_dir: Path, tokens: int) -> None:
        asked.append(tokens)
        (out_dir / "model").touch()

    real_rivals.trained(own, "rival", train)
    assert asked == [tokens]
