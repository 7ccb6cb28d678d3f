"""Baselines trained by their command, with the embedded base and few tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from experiments.baselines import main
from steiner.format.grammar import SPECIAL_TOKENS

FEW = ("--recipe", "smoke", "--tokens", "4_000", "--epochs", "2")


@pytest.mark.parametrize(("kind", "reasons"), [("direct", False), ("shortest", True)])
def test_the_command_trains_a_model_that_loads(kind: str, reasons: bool, tmp_path: Path) -> None:
    main([kind, *FEW, "--out", str(tmp_path / kind)])
    AutoModelForCausalLM.from_pretrained(tmp_path / kind)
    vocabulary = AutoTokenizer.from_pretrained(tmp_path / kind).get_vocab()
    assert all((token in vocabulary) is reasons for token in SPECIAL_TOKENS)


def test_only_a_direct_model_grows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["shortest", *FEW, "--times", "2", "--out", str(tmp_path / "model")])
    assert "--times is for direct" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()
