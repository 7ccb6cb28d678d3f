"""The stages of a run, each one declaration. The command line, the evaluation, the report and the
benchmarks take stage names, models and logged quantities from here.

Recipe, run folder -> one output folder per stage
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from steiner.files import LOGS, file_digest, model_digest, read_json
from steiner.pipeline.stage import Stage
from steiner.progress import plural
from steiner.recipe import Recipe


def model_stages() -> list[Stage]:
    """The stages whose output is a model, in the order of training."""
    return [stage for stage in STAGES if stage.makes_model]


def _pretrain(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    from steiner.training import pretrain

    pretrain.pretrain(recipe, out_dir)


def _perplexity(out_dir: Path) -> str:
    return f"perplexity {_log(out_dir, 'perplexity.json')['after']:.3f}"


def _synth(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    from steiner.dags.synthesis import synthesise
    from steiner.teacher.synthesis import teacher_blocks

    synthesise(recipe, out_dir, teacher_blocks(recipe, run_dir))


def _counts(out_dir: Path) -> str:
    counts = read_json(out_dir / "manifest.json")["counts"]
    return f"{plural(counts.get('dags', 0), 'DAG')}, {plural(counts.get('paths', 0), 'path')}"


def _cpt(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    from steiner.training import cpt

    cpt.train(recipe, run_dir, out_dir)


def _perplexities(out_dir: Path) -> str:
    if not (out_dir / LOGS / "perplexity.json").exists():
        return _loss(out_dir)
    perplexity = _log(out_dir, "perplexity.json")
    return f"perplexity {perplexity['before']:.3f} -> {perplexity['after']:.3f}"


def _sft(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    from steiner.training import sft

    sft.train(recipe, run_dir, out_dir)


def _loss(out_dir: Path) -> str:
    return f"loss {_last_logged(out_dir, 'loss'):.3f}"


def _rl(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    from steiner.rl import grpo

    grpo.train(recipe, run_dir, out_dir)


def _last_accuracy(out_dir: Path) -> str:
    return f"accuracy of the last rollouts {100 * _last_logged(out_dir, 'accuracy'):.0f} %"


def _evaluate(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    from steiner.evaluation.evaluate import evaluate

    models = {"base": recipe.base.source}
    models |= {stage.name: str(run_dir / stage.name) for stage in model_stages()}
    evaluate(recipe, models, out_dir, training_data=run_dir / "synth")


def headline(out_dir: Path) -> str:
    """The last model's accuracy, from the results in an evaluation's folder."""
    from steiner.evaluation.results import read_results

    return read_results(out_dir / "results.json").headline


def _report(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    from steiner.evaluation.report import write_report

    write_report(run_dir, out_dir)


def _log(out_dir: Path, name: str) -> Mapping[str, Any]:
    return read_json(out_dir / LOGS / name)


def _last_logged(out_dir: Path, quantity: str) -> float:
    history = _log(out_dir, "trainer_state.json")["log_history"]
    return next((float(e[quantity]) for e in reversed(history) if quantity in e), float("nan"))


def base_fingerprint(recipe: Recipe) -> str:
    """Identity of the recipe's base model."""
    return model_digest(recipe.base.source)


def questions_fingerprint(recipe: Recipe) -> str:
    """Identity of the files behind the recipe's own tasks: questions, test questions, a grader in
    Python, and task files. Names on the Hub are in the recipe's keys."""
    own = recipe.questions
    files = (own.source, own.test, own.grader, *recipe.problems.files)
    return "/".join(file_digest(Path(file)) for file in files)


def questions_and_teacher(recipe: Recipe) -> str:
    """Identity of the recipe's own questions, and of a teacher that runs here."""
    is_local = recipe.questions.source and recipe.teacher.model and not recipe.teacher.url
    teacher = model_digest(recipe.teacher.model) if is_local else ""
    return f"{questions_fingerprint(recipe)}{teacher}"


def problems_and_base(recipe: Recipe) -> str:
    """Identity of the base model and of the recipe's own questions."""
    return f"{base_fingerprint(recipe)}{questions_fingerprint(recipe)}"


_PROBLEMS = ("seed", "language", "problems", "questions")
_TRAINED = ("seed", "sampling")

SYNTH = Stage(
    "synth",
    "problems, their reasoning DAGs and search paths",
    keys=(*_PROBLEMS, "teacher", "synth"),
    inputs=(),
    work=_synth,
    result=_counts,
    fingerprint=questions_and_teacher,
)

TRAINING = (
    Stage(
        "cpt",
        "continual pre-training on paths and ordinary text",
        keys=(*_TRAINED, "base.model", "cpt"),
        inputs=("synth",),
        work=_cpt,
        result=_perplexities,
        fingerprint=base_fingerprint,
        makes_model=True,
    ),
    Stage(
        "sft",
        "supervised fine-tuning on search paths",
        keys=(*_TRAINED, "sft"),
        inputs=("synth", "cpt"),
        work=_sft,
        result=_loss,
        makes_model=True,
    ),
    Stage(
        "rl",
        "GRPO with step rewards from the DAG",
        keys=(*_PROBLEMS, "rl"),
        inputs=("synth", "sft"),
        work=_rl,
        result=_last_accuracy,
        fingerprint=questions_fingerprint,
        makes_model=True,
    ),
)
"""The stages that `steiner train NAME` makes. A stage added here is also run, evaluated and
reported."""


def stages_of_run(training: Sequence[Stage]) -> tuple[Stage, ...]:
    """All stages in the order of a run: synthesis, the training stages, evaluation, report."""
    models = tuple(stage.name for stage in training)
    evaluate = Stage(
        "evaluate",
        "accuracy on held-out problems at each step budget",
        keys=(*_PROBLEMS, "eval"),
        inputs=("synth", *models),
        work=_evaluate,
        result=headline,
        fingerprint=problems_and_base,
    )
    report = Stage(
        "report",
        "one HTML page",
        keys=(),
        inputs=("synth", *models, "evaluate"),
        work=_report,
    )
    return (SYNTH, *training, evaluate, report)


STAGES = stages_of_run(TRAINING)
"""In the order of a run."""

PRETRAIN = Stage(
    "base",
    "the base model, from random weights",
    keys=("seed", "language", "base"),
    inputs=(),
    work=_pretrain,
    result=_perplexity,
)
"""Not part of a run: the embedded base is in the package."""
