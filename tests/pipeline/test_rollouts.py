"""`steiner rollouts` writes scored rollouts of a model, the same ones each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from steiner.cli.main import main
from steiner.rl import rollout_groups
from steiner.rl.rollout_file import read_rollouts

SETTINGS = ("--recipe", "smoke", "--set", "rl.max_tokens=200", "--set", "rl.rollouts_per_problem=2")


@pytest.fixture(autouse=True)
def small_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_groups, "_POOL_SIZE", 6)


def test_rollouts_of_a_model(
    model_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one.parquet", "two.parquet"):
        out = tmp_path / name
        assert main(["rollouts", str(model_dir), *SETTINGS, "--problems=3", f"--out={out}"]) == 0
        assert f"{out}: 6 rollouts of 3 problems, " in capsys.readouterr().out
    rows = read_rollouts(tmp_path / "one.parquet")
    assert rows == read_rollouts(tmp_path / "two.parquet")
    assert [row.group_id[0] for row in rows] == list("001122")
    for row in rows:
        assert row.response_mask[:3] == (0, 0, 0)  # the opening
        assert len(row.rewards) == len(row.logprobs) == len(row.response_ids) <= 200


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--problems=0", "--recipe=smoke"], "--problems is 0"),
        (["--recipe=smoke", "--set=rl.rollouts=vlm"], 'must be one of "engine", "vllm"'),
        ([], "recipe.toml"),
    ],
)
def test_bad_input(
    arguments: list[str],
    said: str,
    model_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "rollouts.parquet"
    assert main(["rollouts", str(model_dir), *arguments, f"--out={out}"]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()
