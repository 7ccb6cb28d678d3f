"""Checkpoints of a training, and the model folder and logs that it leaves.

Trainer -> checkpoint-N/ while it trains -> weights, configuration, tokenizer, logs/
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer, TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import SAFE_WEIGHTS_NAME

from steiner.files import LOGS, read_json, remove_folder, replace_folder
from steiner.models.saving import save_model
from steiner.recipe import SamplingRecipe
from steiner.training.lora import merged, trainable_weights
from steiner.types import RunError

_TENSORBOARD = "runs"
"""Where transformers' TensorBoardCallback writes, inside the output folder."""


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
