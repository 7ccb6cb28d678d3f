"""Runs: all stages from problems to a report. A run resumes and makes only what is missing or
changed.

Recipe -> run folder: synth/ cpt/ sft/ rl/ evaluate/ report/ logs/ and manifest.json

    steiner run --recipe tiny
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path

from steiner.files import locked, model_digest, write_json
from steiner.pipeline.checks import check_problems, check_report_to, check_training
from steiner.pipeline.stage import Stage, help_with_stage, read_stamp, run_stage, versions
from steiner.pipeline.stages import (
    PRETRAIN,
    STAGES,
    headline,
    model_stages,
    questions_fingerprint,
)
from steiner.processes import disconnect, is_first, world_size
from steiner.questions.task import register_questions
from steiner.recipe import Recipe
from steiner.tasks import task
from steiner.types import UserError


def run(
    recipe: Recipe,
    run_dir: Path,
    *,
    only: str | None = None,
    force: bool = False,
    stages: Sequence[Stage] | None = None,
) -> None:
    """Brings every stage in `run_dir` up to date, or `only` the one of that name.

    A single stage uses its inputs as they are, whatever recipe made them; `force` makes a stage
    again although nothing changed. Finished stages stay if a later one fails. Raises UserError and
    RunError.
    """
    known = STAGES if stages is None else tuple(stages)
    chosen = known if only is None else (stage_named(only, known),)
    register_questions(recipe)
    shares = (*recipe.cpt.shares, *recipe.sft.shares)
    for name in (*recipe.problems.levels, *recipe.synth.in_order, *shares):
        task(name)  # raises UserError for one unknown
    check_problems(recipe, chosen)
    if is_first():
        check_training(recipe, run_dir, chosen)
        with locked(run_dir):
            for stage in chosen:
                run_stage(stage, recipe, run_dir, force=force)
                _write_manifest(recipe, run_dir, known)
    else:
        for stage in chosen:
            help_with_stage(stage, recipe, run_dir)
    disconnect()


def stage_named(name: str, stages: Sequence[Stage] | None = None) -> Stage:
    """The stage of that name. Raises UserError with the nearest name."""
    known = {stage.name: stage for stage in (STAGES if stages is None else stages)}
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"one of: {', '.join(known)}"
        raise UserError(f"unknown stage '{name}'", hint)
    return known[name]


def pretrain(recipe: Recipe, parent_dir: Path, *, force: bool = False) -> None:
    """Pre-trains a base model into `parent_dir/base`."""
    if world_size() > 1:
        raise UserError("pre-training runs in one process", "start it without a launcher")
    check_report_to("base", recipe.base.report_to)
    with locked(parent_dir):
        run_stage(PRETRAIN, recipe, parent_dir, force=force)


def evaluate_models(
    recipe: Recipe,
    run_dir: Path,
    models: Mapping[str, str],
    name: str = "models",
    *,
    force: bool = False,
) -> Path:
    """Evaluates models from elsewhere into `run_dir/evaluate-NAME`; returns the page of its report.

    `models`: label -> folder or Hub name.
    """

    def work(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
        from steiner.evaluation.evaluate import evaluate
        from steiner.evaluation.report import write_evaluation_report

        evaluate(recipe, models, out_dir)
        write_evaluation_report(out_dir)

    def fingerprint(recipe: Recipe) -> str:
        names = "/".join(f"{label}={model_digest(model)}" for label, model in models.items())
        return f"{names}/{questions_fingerprint(recipe)}"

    register_questions(recipe)
    folder = "evaluate-" + re.sub(r"[^\w.-]+", "-", name)
    page = run_dir / folder / "report.html"
    if not is_first():
        return page
    keys = ("seed", "language", "problems", "questions", "eval")
    with locked(run_dir):
        stage = Stage(
            folder,
            "accuracy of models from elsewhere",
            keys,
            inputs=(),
            work=work,
            result=headline,
            fingerprint=fingerprint,
        )
        run_stage(stage, recipe, run_dir, force=force)
    return page


def finished_models(run_dir: Path) -> dict[str, str]:
    """Stage -> folder of each finished model of a run, in the order of training."""
    folders = {stage.name: run_dir / stage.name for stage in model_stages()}
    return {name: str(folder) for name, folder in folders.items() if read_stamp(folder)}


def _write_manifest(recipe: Recipe, run_dir: Path, stages: Sequence[Stage]) -> None:
    """Writes manifest.json: the recipe of the last command, this machine, and the cost of each
    stage."""
    stamps = {stage.name: read_stamp(run_dir / stage.name) for stage in stages}
    costs = {name: asdict(stamp) for name, stamp in stamps.items() if stamp}
    for cost in costs.values():
        del cost["files"]  # stage.json of each stage has them
    from steiner.models.precision import compute_settings

    manifest = {
        "name": recipe.name,
        "seconds": round(sum(cost["seconds"] for cost in costs.values()), 2),
        "peak_memory_mb": max((cost["peak_memory_mb"] for cost in costs.values()), default=0),
        "stages": costs,
        "versions": versions(),
        "machine": {
            "platform": platform.platform(),
            "cores": os.cpu_count(),
            **compute_settings(),
        },
        "recipe": asdict(recipe),
    }
    write_json(run_dir / "manifest.json", manifest)
