"""`steiner rollouts` writes scored rollouts of a model, the same ones each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from steiner.cli.main import main
from steiner.inference import model_loading
from steiner.inference.engine import Engine
from steiner.models import small_qwen2
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


@pytest.mark.parametrize("is_small_qwen2", [True, False])
@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_the_recipe_decides_the_number_format(
    precision: str,
    dtype: torch.dtype,
    is_small_qwen2: bool,
    model_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """For a large model, on a machine that is faster in bf16."""
    monkeypatch.setattr(model_loading, "_LARGE", 0)
    monkeypatch.setattr(model_loading, "fastest_dtype", lambda device: torch.bfloat16)
    if not is_small_qwen2:
        monkeypatch.setattr(small_qwen2, "is_supported", lambda folder: False)
    dtypes, generate = [], Engine.generate

    def noted(engine: Engine, requests: Any) -> Any:
        dtypes.append(engine.dtype)
        return generate(engine, requests)

    monkeypatch.setattr(Engine, "generate", noted)
    settings = (*SETTINGS, f"--set=rl.precision={precision}", "--problems=1")
    assert main(["rollouts", str(model_dir), *settings, f"--out={tmp_path / 'out.parquet'}"]) == 0
    assert dtypes == [dtype]


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
