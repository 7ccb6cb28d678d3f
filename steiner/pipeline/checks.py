"""Finds what would stop a run before it starts: problems, corpora, the base, too little memory.

Recipe, stages to make -> nothing, or one clear error

Synthesis and a first training may take hours, so the rest should not fail for a reason that was
known before. Memory is the plan's (pipeline/plan.py), against what is free for each process.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from steiner.pipeline.stage import Stage, read_stamp
from steiner.processes import is_sharded, world_size
from steiner.progress import say
from steiner.recipe import EMBEDDED_BASE, Recipe
from steiner.types import Message, UserError, reason_of

_ALWAYS_THERE = ("none", "all", "tensorboard")
"""Values of report_to that need nothing beyond what Steiner needs."""


def check_problems(recipe: Recipe, stages: Sequence[Stage]) -> None:
    """Raises UserError if evaluation is among the stages and a task has no problem for it."""
    if "evaluate" in [stage.name for stage in stages]:
        from steiner.evaluation.suites import require_test_problems

        require_test_problems(recipe)


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
    if pending:
        _check_devices(recipe)
    for name in names:
        _check_settings(recipe, name)
    if "rl" in names:
        _check_rl(recipe, is_next=names[0] == "rl")
    if "cpt" in names and recipe.cpt.corpora:
        _check_corpora(recipe)
    if pending and (source := _source(recipe, run_dir, pending[0])) != str(EMBEDDED_BASE):
        _check_base(source)
        _check_memory(recipe, source, names)


def _check_devices(recipe: Recipe) -> None:
    """Before the base, which may be a download of many GB."""
    if not recipe.gpus:
        return
    import torch

    if not torch.cuda.is_available():
        message = f"the recipe {recipe.name} needs {recipe.gpus} GPUs, and this machine has none"
        hint = "--recipe qwen2.5-0.5b and smollm2-135m train on a CPU; --set gpus=0 tries anyway"
        raise UserError(message, hint)


def _check_settings(recipe: Recipe, name: str) -> None:
    section = getattr(recipe, name)
    if section.lora_rank or section.lora_4bit:
        from steiner.training.lora import check_lora

        check_lora(section)
    check_report_to(name, section.report_to)


def check_report_to(section: str, report_to: str) -> None:
    """Raises UserError if `report_to` of that section names a service that transformers does not
    know, or one whose library is missing."""
    if report_to in _ALWAYS_THERE:
        return
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK as SERVICES

    for name in report_to.split(","):
        if name not in SERVICES:
            near = get_close_matches(name, SERVICES, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"one of: none, {', '.join(SERVICES)}"
            raise UserError(f"unknown service '{name}' in {section}.report_to", hint)
        try:
            SERVICES[name]()
        except (ImportError, RuntimeError) as error:
            hint = f"install its library, or set {section}.report_to=none"
            raise UserError(f"{section}.report_to: {reason_of(error)}", hint) from error


def _check_rl(recipe: Recipe, *, is_next: bool) -> None:
    """A server that is not needed yet may start later: it serves the model that SFT makes."""
    from steiner.rl.recipe_checks import check_rl, check_rollout_server

    check_rl(recipe, world_size())
    if is_sharded():
        hint = "start it with plain data parallelism: recipes/accelerate/ddp.yaml"
        raise UserError("RL needs the whole weights on each device, not sharded ones", hint)
    try:
        check_rollout_server(recipe)
    except UserError as error:
        if is_next:
            raise
        say(f"rl         {error}; it must answer when RL begins")


def _check_corpora(recipe: Recipe) -> None:
    from steiner.data.corpora import check_corpora

    check_corpora(recipe.cpt.corpora)


def _source(recipe: Recipe, run_dir: Path, stage: Stage) -> str:
    """The model that the stage trains: that of the stage before it, or the recipe's base."""
    before = run_dir / stage.inputs[-1]
    return str(before) if (before / "config.json").exists() else recipe.base.source


def _check_base(source: str) -> None:
    from steiner.format.chat_format import ChatFormat
    from steiner.models.loading import load_tokenizer

    ChatFormat(load_tokenizer(source)).encode_prompt([Message("user", "")])


def _check_memory(recipe: Recipe, source: str, names: Sequence[str]) -> None:
    from steiner.pipeline import plan

    devices = plan.Devices(world_size(), plan.device_memory(), sharded=is_sharded())
    for stage in plan.plan(recipe, plan.shape_of(source), devices):
        if stage.name in names and stage.needed > devices.memory:
            many = " for each process" if world_size() > 1 else ""
            message = (
                f"{stage.name} needs about {stage.needed / 1e9:.1f} GB of memory{many}, and "
                f"{devices.memory / 1e9:.1f} are free"
            )
            raise UserError(message, f"try {stage.hint}; `steiner plan` shows all parts")
