"""One transformers Trainer for all stages that learn from TokenSequences.

TokenSequences, model -> Hugging Face model folder

It replaces three parts of Trainer: the data loader (batches limited in tokens, with little
padding), the optimiser (Muon with AdamW), and the loss (weighted by token, with logits computed
only where needed). Logs, checkpoints and resume are Trainer's own.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save_file
from torch.utils.data import DataLoader
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import SAFE_WEIGHTS_NAME

from steiner.data.batching import TokenBatches, collate
from steiner.data.packed_rows import lengths_of
from steiner.files import LOGS, read_json, remove_folder, replace_folder
from steiner.format.chat_format import ChatFormat
from steiner.models.four_bit import is_4bit
from steiner.models.precision import default_device, wants_bf16
from steiner.models.saving import save_adapter, save_model
from steiner.models.sources import ADAPTER
from steiner.processes import process_state, wants_sharding
from steiner.progress import say
from steiner.recipe import Attention, SamplingRecipe
from steiner.training.attention import choose_attention, shape_of_batches
from steiner.training.lora import lora, merged, trainable_weights
from steiner.training.losses import forward_gives_losses
from steiner.training.optimizers import build_optimizer
from steiner.training.progress_callback import show_progress
from steiner.types import RunError, TokenSequence, UserError

_WORTH_COMPILING = {"cpu": 1_000_000, "cuda": 50_000_000}
"""Tokens to train on above which compilation pays; it takes up to a minute. On an accelerator, only
rows of one length are compiled."""
_LARGEST_COMPILED = 20_000_000
"""Parameters of a model above which a CPU is not faster compiled: there, matrix products take most
of the time."""
_TENSORBOARD = "runs"
"""Where transformers' TensorBoardCallback writes, inside the output folder."""
_LOADERS = 4
"""Processes that prepare batches for an accelerator; one is too slow."""


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


class AdapterCheckpoints(Trainer):
    """A Trainer whose checkpoints have only the weights that are trained, if it trains LoRA."""

    trains_lora = False

    def _save(
        self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None
    ) -> None:
        if not self.trains_lora:
            super()._save(output_dir, state_dict)
            return
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        assert self.model is not None
        save_file(trainable_weights(self.model), folder / SAFE_WEIGHTS_NAME, {"format": "pt"})

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """As Trainer's; frozen weights are missing for a reason."""
        if not self.trains_lora:
            super()._issue_warnings_after_load(load_result)


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
        compiles = _compiling_pays(model, trainer.batches, schedule)
        wanted = _wanted_attention(schedule, compiles=compiles)
        choose_attention(model, wanted, shape, folder, bf16=schedule.bf16)
        compilation = _compiled(model, trainer.batches) if compiles else nullcontext()
        with forward_gives_losses(model), compilation:
            trainer.train(resume_from_checkpoint=last_checkpoint(folder))
        if adapted and trainer.is_world_process_zero():
            save_adapter(adapted, tokenizer, folder / ADAPTER)
    save_trained(trainer, model, tokenizer, folder)
    return trainer


def _compiling_pays(model: PreTrainedModel, batches: TokenBatches, schedule: Schedule) -> bool:
    """True if compiled layers save time: in bf16, a small model spends much time between matrix
    products. On a CPU they do so with plain attention only (docs/log.md)."""
    device = default_device()
    if not schedule.bf16 or schedule.tokens < _WORTH_COMPILING[device]:
        return False
    if is_4bit(model) or not shutil.which("g++"):
        return False
    if device == "cuda":
        return not _is_dynamic(batches)
    return schedule.attention != "sdpa" and model.num_parameters() <= _LARGEST_COMPILED


def _wanted_attention(schedule: Schedule, *, compiles: bool) -> Attention:
    """The recipe's, but plain attention for compiled layers on a CPU: a step of the embedded model
    takes 84 ms with it, and 120 ms with the fused one. Timing compiled layers would take longer
    than it saves."""
    if schedule.attention == "auto" and compiles and default_device() == "cpu":
        say("attention  eager, the faster with compiled layers")
        return "eager"
    return schedule.attention


@contextmanager
def _compiled(model: PreTrainedModel, batches: TokenBatches) -> Iterator[None]:
    """Within the block, the decoder is compiled. Measuring the perplexity of the trained model, in
    evaluation mode, would compile it again."""
    torch._inductor.config.compile_threads = 1  # its worker processes take memory, not time, here
    decoder = model.get_decoder()
    decoder.compile(dynamic=_is_dynamic(batches))
    try:
        yield
    finally:
        decoder._compiled_call_impl = None


def _is_dynamic(batches: TokenBatches) -> bool:
    """True if rows differ in length."""
    return len(set(batches.lengths)) > 1


def last_checkpoint(folder: Path) -> str | None:
    """The newest complete checkpoint in `folder`; None if there is none."""
    whole = filter(_is_whole, folder.glob("checkpoint-[0-9]*"))
    newest = max(whole, key=lambda checkpoint: int(checkpoint.name.split("-")[1]), default=None)
    return None if newest is None else str(newest)


def _is_whole(checkpoint: Path) -> bool:
    """Trainer writes its state last, so a checkpoint without it was interrupted."""
    try:
        read_json(checkpoint / TRAINER_STATE_NAME)
    except RunError:
        return False
    return True


def save_trained(
    trainer: Trainer, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> None:
    """Save the model and its logs into `folder`, and delete the checkpoints, once every process
    has written its part of the last one. Weights that are spread over devices are gathered, and
    LoRA of 4-bit weights is merged."""
    is_sharded = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
    weights = trainer.accelerator.get_state_dict(trainer.model_wrapped) if is_sharded else None
    trainer.accelerator.wait_for_everyone()
    if trainer.is_world_process_zero():
        save_model(merged(model), tokenizer, folder, weights)
        _keep_logs(trainer.state, folder)


def _keep_logs(state: TrainerState, folder: Path) -> None:
    """Move what a finished training leaves besides the model into `folder/logs`, and delete its
    checkpoints. A stage's logs end up in `<run>/logs/<stage>` (pipeline/stage.py)."""
    (folder / LOGS).mkdir(exist_ok=True)
    state.save_to_json(str(folder / LOGS / TRAINER_STATE_NAME))
    if (folder / _TENSORBOARD).exists():
        replace_folder(folder / _TENSORBOARD, folder / LOGS / "tensorboard")
    (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle
    for checkpoint in folder.glob("checkpoint-*"):
        remove_folder(checkpoint)


def set_generation_config(model: PreTrainedModel, sampling: SamplingRecipe) -> None:
    """Writes the recipe's sampling settings into the model's generation config."""
    if sampling.temperature:
        model.generation_config.update(do_sample=True, **asdict(sampling))


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
