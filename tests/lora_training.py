"""Trains LoRA as a stage does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from steiner.format.grammar import SPECIAL_TOKENS
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.recipe import SftRecipe
from steiner.training.lora import load_for_training
from steiner.training.schedule import schedule_of
from steiner.training.trainer import train_sequences
from steiner.types import TokenSequence

LORA = SftRecipe(
    tokens=600,
    batch_tokens=60,
    muon_lr=0.0,
    adam_lr=0.01,
    lora_rank=4,
    precision="fp32",
    report_to="none",
)
TEMPERATURE = 0.7
"""Of the trained model's generation config."""


def train_lora(
    base: Path, out: Path, stage: SftRecipe = LORA, row: Sequence[int] | None = None
) -> Path:
    """Trains `base` on one row (the reasoning tokens in order) into the model folder `out`, which
    it returns. A base without the reasoning tokens gets them, as in CPT."""
    model, tokenizer = load_for_training(base, stage)
    model.generation_config.update(do_sample=True, temperature=TEMPERATURE)
    add_reasoning_vocabulary(model, tokenizer)
    ids = tuple(row or (5, *tokenizer.convert_tokens_to_ids(list(SPECIAL_TOKENS)), 6))
    rows = [TokenSequence(ids, (1.0,) * len(ids))] * 8
    train_sequences(model, tokenizer, rows, schedule_of(stage, 5, lora_rank=stage.lora_rank), out)
    return out
