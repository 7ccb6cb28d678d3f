"""The trainer's progress: one bar with the time left, or plain lines, instead of its own printing.

Trainer logs -> steiner.progress
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from transformers import (
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from steiner.progress import progress, say


class StageProgress(TrainerCallback):
    """Shows the optimiser steps of one stage, and a line of the quantities that `shown` picks."""

    def __init__(self, name: str, shown: Callable[[dict[str, Any]], Sequence[str]]) -> None:
        self._name, self._shown = name, shown
        self._open = ExitStack()
        self._advance: Callable[[int], None] = lambda count: None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Open the bar; a resumed training starts at its checkpoint's step."""
        left = state.max_steps - state.global_step
        self._advance = self._open.enter_context(progress(self._name, left, "step"))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Advance by one."""
        self._advance(1)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """One line of the quantities that a person follows, if there are any."""
        if found := self._shown(logs or {}):
            say(f"{self._name:<10} step {state.global_step}  {'  '.join(found)}")

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Close the bar."""
        self._open.close()


def show_progress(
    trainer: Trainer, name: str, shown: Callable[[dict[str, Any]], Sequence[str]] = lambda logs: ()
) -> None:
    """Replace the trainer's own progress bar and log printing."""
    for callback in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(callback)
    trainer.add_callback(StageProgress(name, shown))
