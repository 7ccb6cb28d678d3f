"""Finds what would stop a run before it starts: settings, the base, too little memory.

Recipe, stages that are to make a model -> nothing, or one clear error

Synthesis and a first training may take hours, so the rest should not fail for a reason that was
known before. Memory is the plan's (pipeline/plan.py), against all that the machine has.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from steiner.pipeline.stage import Stage, read_stamp
from steiner.processes import is_sharded, world_size
from steiner.recipe import EMBEDDED_BASE, Recipe
from steiner.types import Message, UserError


def check_training(recipe: Recipe, run_dir: Path, stages: Sequence[Stage]) -> None:
    """Raises UserError if one of the stages cannot train by this recipe on this machine.

    Finished stages do not count, and neither does the embedded base: it is known to work.
    """
    pending = [
        stage
        for stage in stages
        if stage.makes_model
        and hasattr(recipe, stage.name)
        and read_stamp(run_dir / stage.name) is None
    ]
    names = [stage.name for stage in pending]
    for name in names:
        _check_settings(recipe, name)
    if pending and (source := _source(recipe, run_dir, pending[0])) != str(EMBEDDED_BASE):
        _check_base(source)
        _check_memory(recipe, source, names)


def _check_settings(recipe: Recipe, name: str) -> None:
    section = getattr(recipe, name)
    if section.lora_rank or section.lora_4bit:
        from steiner.training.lora import check_lora

        check_lora(section)


def _source(recipe: Recipe, run_dir: Path, stage: Stage) -> str:
    """What the stage trains: the model of the stage before it, or the recipe's base."""
    before = run_dir / stage.inputs[-1]
    return str(before) if (before / "config.json").exists() else recipe.base.source


def _check_base(source: str) -> None:
    from steiner.format.chat_format import ChatFormat
    from steiner.models.loading import load_tokenizer

    ChatFormat(load_tokenizer(source)).encode_prompt([Message("user", "")])


def _check_memory(recipe: Recipe, source: str, names: Sequence[str]) -> None:
    from steiner.pipeline import plan

    devices = plan.Devices(world_size(), plan.machine_memory(), sharded=is_sharded())
    for stage in plan.plan(recipe, plan.shape_of(source), devices):
        if stage.name in names and stage.needed > devices.memory:
            message = (
                f"{stage.name} needs about {stage.needed / 1e9:.1f} GB of memory, and this machine "
                f"has {devices.memory / 1e9:.1f}"
            )
            raise UserError(message, f"try {stage.hint}; `steiner plan` shows all parts")
