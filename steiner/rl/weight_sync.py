"""Gives a vLLM server the weights of the model that is trained, between batches of rollouts.

model, every N optimiser steps -> a folder of safetensors -> the server's weights

The server reads the folder itself, so both machines must see it under one path. That needs no
connection between the two processes' devices and works on every platform of vLLM; each sync writes
and reads all weights once. The trainer waits for its rollouts, so none is running when the weights
change.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from transformers import PreTrainedModel

from steiner.files import clear_disk_errors, make_readable, remove_folder
from steiner.processes import process_state
from steiner.training.lora import merged_weights


class TakesWeights(Protocol):
    """A backend with a copy of the weights."""

    def load_weights(self, folder: Path) -> None:
        """Replaces them by those in `folder`."""


class WeightSync:
    """Keeps the weights of `backend` at most `every` optimiser steps behind those of `model`."""

    def __init__(
        self, backend: TakesWeights, model: PreTrainedModel, folder: Path, every: int
    ) -> None:
        self._backend, self._model = backend, model
        self._folder, self._every = folder.resolve(), every
        self._synced_step: int | None = None

    def before_rollouts(self, step: int) -> None:
        """To be called by all processes; `step` is the number of optimiser steps so far."""
        if self._synced_step is not None and step - self._synced_step < self._every:
            return
        processes = process_state()
        processes.wait_for_everyone()  # another process may still wait for rollouts
        if processes.is_main_process:
            write_weights(self._model, self._folder)
            self._backend.load_weights(self._folder)
        processes.wait_for_everyone()
        self._synced_step = step

    def close(self) -> None:
        """Deletes the folder."""
        if process_state().is_main_process:
            remove_folder(self._folder)


def write_weights(model: PreTrainedModel, folder: Path) -> None:
    """Writes the weights of `model` for a server, adapters merged and tied weights under each name.

    On a CPU, vLLM packs the output layer; when it reloads, it packs it anew only if the file has a
    weight of that name, tied to the embedding or not.
    """
    weights, storages = merged_weights(model), set[int]()
    for name, weight in weights.items():
        if weight.data_ptr() in storages:
            weights[name] = weight.clone()
        storages.add(weight.data_ptr())
    with clear_disk_errors(folder):
        model.save_pretrained(folder, state_dict=weights)
    make_readable(folder)
