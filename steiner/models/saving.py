"""Saves a model, or an adapter alone, as an ordinary Hugging Face folder with a model card.

(model, tokenizer) -> weights in safetensors, configuration, tokenizer, chat template, README.md
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from steiner import __version__
from steiner.files import write_text
from steiner.format.grammar import SPECIAL_TOKENS

_CARD = """\
---
library_name: transformers
pipeline_tag: text-generation
tags: [steiner, reasoning]
---

# {name}

{parameters:,} parameters, {architecture}. Made by the `{name}` {mark} {version};
`recipe.toml` has every setting, `stage.json` the versions.

{usage}
"""

STAGE_MARK = "stage of Steiner"
"""Words that every card of a stage has."""

_REASONS = """\
The model reasons by searching in one line of text: it names a step, works it out, verifies it, and
then proceeds, backtracks, or answers. {count} special tokens mark the parts. Ask it with

    steiner solve "Make 21 from 9, 6, 3." --model {folder}

or as any causal language model of transformers; `steiner serve` adds the step budget."""

_ADAPTER_CARD = """\
---
library_name: peft
pipeline_tag: text-generation
tags: [steiner, reasoning, lora]
---

# {name}

The LoRA adapter that the `{stage}` stage of Steiner {version} trained, without its base: the model
`{base}`. Ask it with

    steiner solve "Make 21 from 9, 6, 3." --model {folder}

or open it with `AutoPeftModelForCausalLM.from_pretrained` of PEFT. The folder above this one has
the same model with the adapter merged.
"""

_PLAIN = "The model has no reasoning tokens. It continues text like any causal language model."


def save_model(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    weights: dict[str, torch.Tensor] | None = None,
) -> None:
    """Saves weights, configuration, tokenizer and model card.

    `weights`, if given, are saved in place of the model's own.
    """
    model.save_pretrained(folder, state_dict=weights)
    tokenizer.save_pretrained(folder)
    write_text(folder / "README.md", model_card(model, tokenizer, folder))


def save_adapter(adapted: Any, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Saves the adapter of a PeftModel alone: weights, configuration, tokenizer and model card.

    `adapter_config.json` names the base. The new tokens' rows are in the adapter, so the embeddings
    stay with the base even if they grew.
    """
    adapted.save_pretrained(folder, save_embedding_layers=False)
    adapted.generation_config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    stage = folder.parent.name.removesuffix(".partial")
    card = _ADAPTER_CARD.format(
        name=f"{stage}-{folder.name}",
        stage=stage,
        version=__version__,
        base=adapted.peft_config["default"].base_model_name_or_path,
        folder=folder.parent.with_name(stage) / folder.name,
    )
    write_text(folder / "README.md", card)


def model_card(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> str:
    """The card of a model in `folder`, in the Hub's format."""
    name = folder.name.removesuffix(".partial")
    reasons = set(SPECIAL_TOKENS) <= tokenizer.get_vocab().keys()
    place = folder.with_name(name)
    usage = _REASONS.format(count=len(SPECIAL_TOKENS), folder=place) if reasons else _PLAIN
    return _CARD.format(
        name=name,
        parameters=model.num_parameters(),
        architecture=type(model).__name__,
        mark=STAGE_MARK,
        version=__version__,
        usage=usage,
    )
