"""A saved model folder: a model with its card, readable, and no training leftovers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from steiner.models.loading import load_model
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.models.saving import save_model
from steiner.recipe import EMBEDDED_BASE, SHIPPED_REASONER
from steiner.recipe_file import shipped_recipes

MakeModel = Callable[[], Qwen2ForCausalLM]


def test_card_of_a_base_and_of_a_reasoning_model(
    make_model: MakeModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    model = make_model()
    save_model(model, tokenizer, tmp_path / "base")
    card = (tmp_path / "base" / "README.md").read_text()
    assert f"{model.num_parameters():,} parameters" in card
    assert "no reasoning tokens" in card
    add_reasoning_vocabulary(model, tokenizer, 0)
    save_model(model, tokenizer, tmp_path / "sft.partial")
    card = (tmp_path / "sft.partial" / "README.md").read_text()
    assert f"--model {tmp_path / 'sft'}\n" in card  # where the folder is once it is complete
    assert card.startswith("---\nlibrary_name: transformers\n")


def test_models_in_the_package_have_a_card() -> None:
    for folder in (EMBEDDED_BASE, SHIPPED_REASONER):
        model, _ = load_model(folder)
        card = (folder / "README.md").read_text()
        assert card.startswith("---\nlibrary_name: transformers\n")
        assert "\nlicense: apache-2.0\n" in card
        assert f"\n{model.num_parameters():,} parameters, Qwen2ForCausalLM" in card
        named = re.findall(r"recipes? `([a-z-]+)`(?: and `([a-z-]+)`)?", card)
        assert {name for names in named for name in names if name} <= set(shipped_recipes())
        assert named


def test_folder_holds_a_model_only(
    make_model: MakeModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    save_model(make_model(), tokenizer, tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {
        ".json",
        ".jinja",
        ".md",
        ".safetensors",
    }
