"""A saved model folder: a model with its card, readable, and no training leftovers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from steiner.models.preparation import add_reasoning_vocabulary
from steiner.models.saving import save_model

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
