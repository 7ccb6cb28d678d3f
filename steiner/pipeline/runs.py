"""The whole way from problems to a report, resumable: only what is missing or changed is made.

Recipe -> run folder: synth/ cpt/ sft/ rl/ evaluate/ report/ and manifest.json

Command: steiner run --recipe tiny
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path

from steiner.files import locked, write_json
from steiner.pipeline.stage import Stage, read_stamp, run_stage, versions
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
    """Bring every stage in `run_dir` up to date, or `only` the one of that name.

    One stage alone takes its inputs as they lie there, whatever recipe made them; `force` makes it
    anew though nothing changed. Raises UserError and RunError; what is finished stays.
    """
    known = STAGES if stages is None else tuple(stages)
    chosen = known if only is None else (stage_named(only, known),)
    for name in (*recipe.problems.levels, *recipe.synth.in_order, *recipe.sft.shares):
        task(name)  # raises UserError for one unknown
    with locked(run_dir):
        for stage in chosen:
            run_stage(stage, recipe, run_dir, force=force)
            _write_manifest(recipe, run_dir, known)


def stage_named(name: str, stages: Sequence[Stage] | None = None) -> Stage:
    """The stage of that name. Raises UserError with the nearest name."""
    known = {stage.name: stage for stage in (STAGES if stages is None else stages)}
    if name not in known:
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"one of: {', '.join(known)}"
        raise UserError(f"unknown stage '{name}'", hint)
    return known[name]


def pretrain(recipe: Recipe, parent_dir: Path, *, force: bool = False) -> None:
    """Pre-train a base model into `parent_dir/base`."""
    with locked(parent_dir):
        run_stage(PRETRAIN, recipe, parent_dir, force=force)


def evaluate_models(
    recipe: Recipe, run_dir: Path, models: Mapping[str, str], *, force: bool = False
) -> None:
    """Evaluate models from elsewhere into `run_dir/evaluate-models`.

    `models`: label -> folder or hub name.
    """

    def work(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
        from steiner.evaluation.evaluate import evaluate

        evaluate(recipe, models, out_dir)

    def fingerprint(recipe: Recipe) -> str:
        return "/".join(f"{label}={_model_digest(model)}" for label, model in models.items())

    keys = ("seed", "language", "problems", "eval")
    with locked(run_dir):
        stage = Stage("evaluate-models", keys, (), work, fingerprint)
        run_stage(stage, recipe, run_dir, force=force)


def _pretrain(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    from steiner.training import pretrain as base

    base.pretrain(recipe, out_dir)


def _synth(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    from steiner.dags.synthesis import synthesise

    synthesise(recipe, out_dir)


def _cpt(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    from steiner.training import cpt

    cpt.train(recipe, run_dir, out_dir)


def _sft(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    from steiner.training import sft

    sft.train(recipe, run_dir, out_dir)


def _rl(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    from steiner.rl import grpo as rl

    rl.train(recipe, run_dir, out_dir)


def _evaluate(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    from steiner.evaluation.evaluate import evaluate

    models = {"base": recipe.base.source}
    models |= {name: str(run_dir / name) for name in ("cpt", "sft", "rl")}
    evaluate(recipe, models, out_dir)


def _report(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    from steiner.evaluation.report import write_report

    write_report(run_dir, out_dir)


def _base_fingerprint(recipe: Recipe) -> str:
    return _model_digest(recipe.base.source)


def _model_digest(model: str) -> str:
    """A hash of a model folder's files; a name on the hub stands for itself."""
    folder = Path(model)
    if not folder.is_dir():
        return model
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


_PROBLEMS = ("seed", "language", "problems")
_TRAINED = ("seed", "sampling")

STAGES = (
    Stage("synth", (*_PROBLEMS, "synth"), (), _synth),
    Stage("cpt", (*_TRAINED, "base.model", "cpt"), ("synth",), _cpt, _base_fingerprint),
    Stage("sft", (*_TRAINED, "sft"), ("synth", "cpt"), _sft),
    Stage("rl", (*_PROBLEMS, "rl"), ("sft",), _rl),
    Stage("evaluate", (*_PROBLEMS, "eval"), ("cpt", "sft", "rl"), _evaluate, _base_fingerprint),
    Stage("report", (), ("synth", "cpt", "sft", "rl", "evaluate"), _report),
)
"""In the order of the data."""

PRETRAIN = Stage("base", ("seed", "language", "base"), (), _pretrain)
"""Not part of a run: the embedded base lies in the package."""


def _write_manifest(recipe: Recipe, run_dir: Path, stages: Sequence[Stage]) -> None:
    """manifest.json: the recipe of the last command, this machine, and what each stage cost."""
    stamps = {stage.name: read_stamp(run_dir / stage.name) for stage in stages}
    costs = {name: asdict(stamp) for name, stamp in stamps.items() if stamp}
    for cost in costs.values():
        del cost["files"]  # they stand in the stage's own stage.json
    manifest = {
        "name": recipe.name,
        "seconds": round(sum(cost["seconds"] for cost in costs.values()), 2),
        "peak_memory_mb": max((cost["peak_memory_mb"] for cost in costs.values()), default=0),
        "stages": costs,
        "versions": versions(),
        "machine": {"platform": platform.platform(), "cores": os.cpu_count()},
        "recipe": asdict(recipe),
    }
    write_json(run_dir / "manifest.json", manifest)
