"""Length and speed of a training, from a section of the recipe.

[base], [cpt] or [sft] of a recipe -> Schedule
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from steiner.models.precision import wants_bf16
from steiner.recipe import Attention


@dataclass(frozen=True, slots=True)
class Schedule:
    """Length and speed of a training; rates are the peaks of a warm-up and linear decay."""

    tokens: int
    batch_tokens: int
    muon_lr: float
    adam_lr: float
    warmup_fraction: float
    seed: int
    bf16: bool
    attention: Attention
    report_to: str
    save_every_steps: int
    activation_checkpointing: bool
    lora_rank: int = 0
    """0 trains all weights."""


class StageRecipe(Protocol):
    """The recipe's section of a stage that learns from TokenSequences."""

    @property
    def tokens(self) -> int: ...
    @property
    def batch_tokens(self) -> int: ...
    @property
    def muon_lr(self) -> float: ...
    @property
    def adam_lr(self) -> float: ...
    @property
    def warmup_fraction(self) -> float: ...
    @property
    def precision(self) -> str: ...
    @property
    def attention(self) -> Attention: ...
    @property
    def activation_checkpointing(self) -> bool: ...
    @property
    def report_to(self) -> str: ...
    @property
    def save_every_steps(self) -> int: ...


def schedule_of(stage: StageRecipe, seed: int, *, lora_rank: int = 0) -> Schedule:
    """The schedule of a recipe's section."""
    return Schedule(
        tokens=stage.tokens,
        batch_tokens=stage.batch_tokens,
        muon_lr=stage.muon_lr,
        adam_lr=stage.adam_lr,
        warmup_fraction=stage.warmup_fraction,
        seed=seed,
        bf16=wants_bf16(stage.precision),
        attention=stage.attention,
        report_to=stage.report_to,
        save_every_steps=stage.save_every_steps,
        activation_checkpointing=stage.activation_checkpointing,
        lora_rank=lora_rank,
    )
