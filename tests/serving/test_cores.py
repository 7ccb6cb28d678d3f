"""The cores that a server's threads compute on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch

from steiner.inference.engine import Engine, RequestDelta
from steiner.serving.settings import Settings


def test_only_the_engines_thread_computes_on_several_cores(
    serve: Callable[[Settings], AbstractContextManager[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()
    step = Engine.step

    def recorded(engine: Engine) -> list[RequestDelta]:
        seen.add(torch.get_num_threads())
        return step(engine)

    monkeypatch.setattr(Engine, "step", recorded)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with serve(Settings()) as served:
            assert served.chat().status_code == 200
            assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
    assert seen == {3}
