"""The share of the machine's matrix-product rate that training uses.

Setting -> 6 × parameters × real tokens a second, over the rate in bf16, and over the faster one

The SFT stage's own trainer, data and precision, for some steps after those in which it compiles;
padding does not count. The rates are measured between the rounds, so that a busy machine slows both
alike.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from benchmarks.machine import matmul_rates, rates_note
from benchmarks.results import Measured
from benchmarks.setting import Figure, Setting
from steiner.models.loading import load_model
from steiner.models.precision import wants_bf16
from steiner.recipe import Recipe
from steiner.training.schedule import schedule_of
from steiner.training.sft import encoded_paths
from steiner.training.trainer import SequenceTrainer, train_sequences

WARM_UP, STEPS = 20, 60
"""Of the optimiser, a round: those before the clock starts, and those that count."""


def throughput(setting: Setting) -> Iterator[Measured]:
    """Shares of both rates."""
    setting.stage("cpt")
    of_bf16, of_fastest = [], []
    for _ in range(setting.repeats):
        speed = _gflops_a_second(setting.recipe, setting.run_dir)
        rates = matmul_rates()
        of_bf16.append(100 * speed / rates["bf16"])
        of_fastest.append(100 * speed / max(rates.values()))
    dtype = "bf16" if wants_bf16(setting.recipe.sft.precision) else "fp32"
    note = f"trained in {dtype}; {rates_note()}"
    yield Measured.repeated("of the bf16 rate", of_bf16, "%", "at least 30", note)
    yield Measured.repeated("of the faster rate", of_fastest, "%")


def _gflops_a_second(recipe: Recipe, run_dir: Path) -> float:
    """6 × parameters × real tokens a second, from STEPS steps of SFT."""
    unlogged = replace(recipe.sft, report_to="none", save_every_steps=10 * STEPS)
    recipe = replace(recipe, sft=unlogged)
    model, tokenizer = load_model(run_dir / "cpt")
    sequences = encoded_paths(recipe, run_dir, tokenizer)
    with TemporaryDirectory() as folder:
        schedule = schedule_of(recipe.sft, recipe.seed)
        clock = _Clock()
        trainer = train_sequences(model, tokenizer, sequences, schedule, Path(folder), clock)
    return 6 * _parameters(model) * _real_tokens(trainer) / clock.seconds / 1e9


class _Clock(TrainerCallback):
    """Times the steps after the first WARM_UP, and ends the training when STEPS more are done."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Starts and stops the clock."""
        if state.global_step == WARM_UP:
            self._begun = time.perf_counter()
        elif state.global_step == WARM_UP + STEPS:
            self.seconds = time.perf_counter() - self._begun
            control.should_training_stop = True


def _parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _real_tokens(trainer: SequenceTrainer) -> int:
    """Of the batches that were trained on."""
    batches = list(trainer.batches)
    steps = range(WARM_UP, WARM_UP + STEPS)
    rows = (row for step in steps for row in batches[step % len(batches)])
    return sum(trainer.batches.lengths[row] for row in rows)


FIGURES: Mapping[str, Figure] = {"throughput": throughput}
