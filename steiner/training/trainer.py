"""One transformers Trainer for all stages that learn from TokenSequences.

TokenSequences, model -> Hugging Face model folder

It replaces three parts of Trainer: the data loader (batches limited in tokens, with little
padding), the optimiser (Muon with AdamW), and the loss (weighted by token, with logits computed
only where needed). Logs, checkpoints and resume are Trainer's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    TrainerCallback,
    TrainingArguments,
)

from steiner.data.batching import TokenBatches, collate
from steiner.data.packed_rows import lengths_of
from steiner.format.chat_format import ChatFormat
from steiner.models.saving import save_adapter
from steiner.models.sources import ADAPTER
from steiner.processes import process_state, wants_sharding
from steiner.progress import say
from steiner.training.attention import choose_attention, shape_of_batches
from steiner.training.checkpoints import AdapterCheckpoints, last_checkpoint, save_trained
from steiner.training.compilation import compiled, compiling_pays, wanted_attention
from steiner.training.lora import lora
from steiner.training.losses import forward_gives_losses
from steiner.training.optimizers import build_optimizer
from steiner.training.progress_callback import show_progress
from steiner.training.schedule import Schedule
from steiner.types import TokenSequence, UserError

_LOADERS = 4
"""Processes that prepare batches for an accelerator; one is too slow."""


class SequenceTrainer(AdapterCheckpoints):
    """Trains on TokenSequences; the module's docstring lists what it replaces."""

    def __init__(
        self,
        model: PreTrainedModel,
        sequences: Sequence[TokenSequence],
        schedule: Schedule,
        folder: Path,
        pad_id: int,
    ) -> None:
        self.sequences, self.schedule, self.pad_id = sequences, schedule, pad_id
        self.learner = model
        self.trains_lora = bool(schedule.lora_rank)
        lengths = lengths_of(sequences)
        processes = process_state()
        self.batches = TokenBatches(
            lengths,
            schedule.batch_tokens,
            schedule.seed,
            processes.process_index,
            processes.num_processes,
        )
        steps = _num_steps(sum(lengths), len(self.batches), schedule.tokens)
        super().__init__(model=model, args=_arguments(schedule, steps, folder))

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches bounded in tokens; one epoch's order follows from the seed alone."""
        return DataLoader(
            self.sequences,  # type: ignore[arg-type]
            batch_sampler=self.batches,
            collate_fn=partial(collate, pad_id=self.pad_id),
            num_workers=_LOADERS if torch.cuda.is_available() else 0,
        )

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """Muon with AdamW."""
        if self.optimizer is None:
            rates = {"muon_lr": self.schedule.muon_lr, "adam_lr": self.schedule.adam_lr}
            self.optimizer = build_optimizer(self.learner, **rates)
        return self.optimizer

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Cross-entropy, weighted by token: the mean over the batch of all processes.

        `model` is the trainer's wrapper, within `forward_gives_losses`. Processes average their
        gradients, so each divides by the mean weight of all.
        """
        found = model(**inputs)
        weight = self.accelerator.reduce(found.weight_N.sum(), reduction="mean").clamp(min=1.0)
        loss = found.total / weight
        return (loss, None) if return_outputs else loss


def train_sequences(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    sequences: Sequence[TokenSequence],
    schedule: Schedule,
    folder: Path,
    *callbacks: TrainerCallback,
) -> SequenceTrainer:
    """Trains, resuming from the last checkpoint in `folder`, and saves the model."""
    pad_id = ChatFormat(tokenizer).pad_id
    with lora(model, tokenizer, schedule.lora_rank, schedule.seed) as adapted:
        trainer = SequenceTrainer(model, sequences, schedule, folder, pad_id)
        if schedule.lora_rank and (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
            hint = "set lora_rank = 0, or start with plain data parallelism (--multi_gpu)"
            raise UserError("LoRA trains on whole weights, not on sharded ones", hint)
        if wants_sharding() and not trainer.is_fsdp_enabled:
            say("weights    whole in each process: accelerate shards them on accelerators only")
        show_progress(trainer, folder.name.removesuffix(".partial"))
        for callback in callbacks:
            trainer.add_callback(callback)
        shape = shape_of_batches(trainer.batches)
        compiles = compiling_pays(model, trainer.batches, schedule)
        wanted = wanted_attention(schedule, compiles=compiles)
        choose_attention(model, wanted, shape, folder, bf16=schedule.bf16)
        compilation = compiled(model, trainer.batches) if compiles else nullcontext()
        with forward_gives_losses(model), compilation:
            trainer.train(resume_from_checkpoint=last_checkpoint(folder))
        if adapted and trainer.is_world_process_zero():
            save_adapter(adapted, tokenizer, folder / ADAPTER)
    save_trained(trainer, model, tokenizer, folder)
    return trainer


def _num_steps(tokens_per_epoch: int, batches_per_epoch: int, tokens: int) -> int:
    return max(1, math.ceil(tokens / max(1, tokens_per_epoch) * batches_per_epoch))


def _arguments(schedule: Schedule, steps: int, folder: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        learning_rate=schedule.adam_lr,
        lr_scheduler_type="linear",
        warmup_steps=int(schedule.warmup_fraction * steps),
        max_grad_norm=1.0,
        bf16=schedule.bf16,
        seed=schedule.seed,
        logging_steps=max(1, steps // 100),
        logging_nan_inf_filter=False,  # asks the accelerator for the loss at every step
        save_steps=schedule.save_every_steps,
        save_total_limit=2,
        report_to=[] if schedule.report_to == "none" else schedule.report_to.split(","),
        use_cpu=not torch.cuda.is_available(),
        activation_checkpointing=schedule.activation_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        ddp_find_unused_parameters=False,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        label_names=["loss_weights"],
    )
