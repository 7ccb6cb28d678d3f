"""Benchmarks of a real base show the figure of `steiner plan` beside the measured one."""

from __future__ import annotations

import pytest

from benchmarks.real_base import _planned
from steiner.cli.main import main
from steiner.recipe import EMBEDDED_BASE


@pytest.mark.parametrize("settings", [(), ("cpt.lora_rank=16", "sft.lora_rank=16")])
def test_the_plan_beside_the_measurement(
    settings: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    options = [part for setting in settings for part in ("--set", setting)]
    command = ["plan", "smollm2-135m", "--base", str(EMBEDDED_BASE), "--tflops", "1", *options]
    assert main(command) == 0
    [together] = [
        line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("together")
    ]
    assert f"{_planned(str(EMBEDDED_BASE), *settings).value:.2f}" == together[2]
