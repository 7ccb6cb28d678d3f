"""The number format is chosen once, and the settings of a run can be recorded."""

from __future__ import annotations

import json

import pytest
import torch

from steiner.models import precision
from steiner.models.precision import compute_settings, fastest_dtype, wants_bf16
from steiner.types import UserError


def test_the_choice_is_one_of_two_and_stays() -> None:
    assert fastest_dtype() in (torch.float32, torch.bfloat16)
    assert fastest_dtype() is fastest_dtype()


def test_the_choice_is_that_of_the_device_of_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_fastest_on_cpu", lambda: torch.float32)
    for device, dtype in (("cuda", torch.bfloat16), ("cpu", torch.float32)):
        monkeypatch.setattr(precision, "default_device", lambda device=device: device)
        assert fastest_dtype() is dtype
        assert fastest_dtype("cpu") is torch.float32
        assert compute_settings()["dtype"] == str(dtype).removeprefix("torch.")


def test_the_recipe_decides_unless_it_says_auto() -> None:
    assert wants_bf16("bf16")
    assert not wants_bf16("fp32")
    assert wants_bf16("auto") in (True, False)
    with pytest.raises(UserError, match="unknown precision 'fp8'"):
        wants_bf16("fp8")


def test_settings_are_plain_json() -> None:
    settings = compute_settings()
    assert json.loads(json.dumps(settings)) == settings
    assert settings["threads"] == torch.get_num_threads()
    assert settings["dtype"] in ("float32", "bfloat16")
