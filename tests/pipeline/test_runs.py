"""The pipeline with real little stages: it redoes what changed, resumes what was killed, and no
more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from steiner.cli.pipeline_commands import training_stages
from steiner.pipeline import runs as pipeline
from steiner.pipeline import stages
from steiner.pipeline.stage import Stage, read_stamp
from steiner.pipeline.stages import STAGES as REAL_STAGES
from steiner.pipeline.stages import TRAINING, stages_of_run
from steiner.progress import duration
from steiner.questions.graders import ProcessGrader
from steiner.questions.reading import Question
from steiner.questions.task import problem_of
from steiner.recipe import Recipe, SftRecipe, SynthRecipe
from steiner.types import RunError, UserError

RECIPE = Recipe(name="little", synth=SynthRecipe(paths=3))


def _paths(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    _log(run_dir, "synth")
    (out_dir / "paths.txt").write_text("path\n" * recipe.synth.paths)


def _model(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    """ "Trains" line by line, going on from the checkpoint it finds."""
    _log(run_dir, "sft")
    checkpoint = out_dir / "checkpoint"
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for line in range(done, len((run_dir / "synth" / "paths.txt").read_text().splitlines())):
        _log(run_dir, f"sft line {line}")
        checkpoint.write_text(str(line + 1))
        if os.environ.get("KILL_AT_LINE") == str(line):
            os.kill(os.getpid(), signal.SIGKILL)
    checkpoint.unlink()
    (out_dir / "model.txt").write_text(f"tokens {recipe.sft.tokens}")


def _page(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    _log(run_dir, "report")
    (out_dir / "report.html").write_text((run_dir / "sft" / "model.txt").read_text())


STAGES = (
    Stage("synth", "", ("seed", "synth"), (), _paths),
    Stage("sft", "", ("sft",), ("synth",), _model),
    Stage("report", "", (), ("sft",), _page),
)


def _log(run_dir: Path, line: str) -> None:
    with (run_dir / "log").open("a") as log:
        log.write(line + "\n")


def _run(run_dir: Path, recipe: Recipe = RECIPE, **options: str | bool) -> list[str]:
    """Run, and tell what work was done."""
    (run_dir / "log").unlink(missing_ok=True)
    pipeline.run(recipe, run_dir, stages=STAGES, **options)  # type: ignore[arg-type]
    log = run_dir / "log"
    return log.read_text().splitlines() if log.exists() else []


def _stages_in(log: Sequence[str]) -> list[str]:
    return [line for line in log if " " not in line]


def test_first_run_makes_all_and_second_nothing(tmp_path: Path) -> None:
    assert _stages_in(_run(tmp_path)) == ["synth", "sft", "report"]
    assert _run(tmp_path) == []
    assert not list(tmp_path.glob("*.partial"))


def test_only_what_depends_on_a_change_is_made_again(tmp_path: Path) -> None:
    _run(tmp_path)
    retrained = replace(RECIPE, sft=SftRecipe(tokens=5))
    assert _stages_in(_run(tmp_path, retrained)) == ["sft", "report"]
    assert (tmp_path / "report" / "report.html").read_text() == "tokens 5"
    reseeded = replace(retrained, seed=1)
    assert _stages_in(_run(tmp_path, reseeded)) == ["synth", "sft", "report"]
    workers = replace(reseeded, synth=replace(RECIPE.synth, workers=9))
    assert _run(tmp_path, workers) == []


@pytest.mark.parametrize("damage", ["missing", "cut short", "no stamp", "broken stamp"])
def test_damaged_output_is_made_again(damage: str, tmp_path: Path) -> None:
    _run(tmp_path)
    model, stamp = tmp_path / "sft" / "model.txt", tmp_path / "sft" / "stage.json"
    match damage:
        case "missing":
            model.unlink()
        case "cut short":
            model.write_text("tok")
        case "no stamp":
            stamp.unlink()
        case "broken stamp":
            stamp.write_text(stamp.read_text()[:40])
    # The same settings on the same inputs have the same digest: the report need not change.
    assert _stages_in(_run(tmp_path)) == ["sft"]
    assert model.read_text().startswith("tokens ")


@pytest.mark.parametrize("name", ["sft", "sft.partial"])
def test_a_folder_that_no_stage_made_is_not_replaced(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "precious").touch()
    with pytest.raises(UserError, match=f"{name} exists and was not made by steiner"):
        _run(tmp_path, force=True)
    assert (tmp_path / name / "precious").exists()
    (tmp_path / name / "precious").unlink()
    assert "sft" in _stages_in(_run(tmp_path))


def _run_apart(run_dir: Path, **environment: str) -> int:
    """The same pipeline in a process of its own, which may be killed."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import test_runs as t; t.main()"
    arguments = [sys.executable, "-c", code, str(Path(__file__).parent), str(run_dir)]
    return subprocess.run(arguments, env=os.environ | environment, check=False).returncode


def main() -> None:
    pipeline.run(RECIPE, Path(sys.argv[2]), stages=STAGES)


def test_killed_stage_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    assert _run_apart(tmp_path, KILL_AT_LINE="1") == -signal.SIGKILL
    assert not (tmp_path / "sft").exists()
    assert (tmp_path / "sft.partial" / "checkpoint").read_text() == "2"
    assert _run(tmp_path) == ["sft", "sft line 2", "report"]
    stamp = read_stamp(tmp_path / "sft")
    assert stamp is not None
    assert stamp.sessions == 2


def test_killed_stage_starts_anew_when_its_settings_changed(tmp_path: Path) -> None:
    _run_apart(tmp_path, KILL_AT_LINE="1")
    log = _run(tmp_path, replace(RECIPE, sft=SftRecipe(tokens=5)))
    assert log == ["sft", "sft line 0", "sft line 1", "sft line 2", "report"]


def test_killed_between_the_last_write_and_the_renaming(tmp_path: Path) -> None:
    _run(tmp_path)
    (tmp_path / "sft").rename(tmp_path / "sft.partial")
    assert _run(tmp_path) == []
    assert (tmp_path / "sft" / "model.txt").exists()


def test_failed_stage_leaves_the_old_output(tmp_path: Path) -> None:
    def fail(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
        (out_dir / "model.txt").write_text("half")
        raise RunError("the server has gone")

    _run(tmp_path)
    failing = (STAGES[0], replace(STAGES[1], work=fail))
    with pytest.raises(RunError, match="the server has gone"):
        pipeline.run(RECIPE, tmp_path, stages=failing, force=True)
    assert (tmp_path / "sft" / "model.txt").read_text().startswith("tokens ")


def test_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    def fill(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
        with Path("/dev/full").open("w") as full:  # a device on which every write meets ENOSPC
            full.write("x")

    with pytest.raises(RunError, match="no space left") as caught:
        pipeline.run(RECIPE, tmp_path, stages=[Stage("synth", "", (), (), fill)])
    assert "continues where it stopped" in caught.value.hint


def test_one_stage_alone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished 'synth', which 'sft' needs"):
        _run(tmp_path, only="sft")
    assert _stages_in(_run(tmp_path, only="synth")) == ["synth"]
    assert _stages_in(_run(tmp_path, only="sft")) == ["sft"]
    assert _stages_in(_run(tmp_path, only="sft", force=True)) == ["sft"]
    with pytest.raises(UserError, match="unknown stage 'repotr'") as caught:
        _run(tmp_path, only="repotr")
    assert caught.value.hint == "did you mean 'report'?"


def test_manifest_and_stamps_tell_how_it_was_made(tmp_path: Path) -> None:
    _run(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["recipe"]["synth"]["paths"] == 3
    assert list(manifest["stages"]) == ["synth", "sft", "report"]
    assert manifest["stages"]["sft"]["peak_memory_mb"] > 1
    assert {"python", "steiner", "torch"} <= set(manifest["versions"])
    assert "paths = 3" in (tmp_path / "synth" / "recipe.toml").read_text()


def test_answers_that_no_grader_could_grade_are_shown_and_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text("def grade(question, answer, known):\n    1 / 0")

    def work(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
        problem = problem_of(Question("How much?", "7"), "questions")
        ProcessGrader(str(tmp_path / "mine.py")).grade(problem, "7")

    pipeline.run(RECIPE, tmp_path, stages=[Stage("synth", "", (), (), work)])
    assert "1 answer not graded, so wrong: mine.py: the grader raised" in capsys.readouterr().err
    stages = json.loads((tmp_path / "manifest.json").read_text())["stages"]
    assert stages["synth"]["ungraded"] == {"mine.py: the grader raised an error": 1}


def test_the_real_stages_name_real_keys_and_earlier_inputs() -> None:
    for place, stage in enumerate(REAL_STAGES):
        assert RECIPE.digest(*stage.keys)
        assert set(stage.inputs) <= {earlier.name for earlier in REAL_STAGES[:place]}


def test_a_training_stage_is_one_declaration(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is run, offered by the command line, evaluated, and an input of evaluation and report."""
    distil = Stage(
        "distil", "a smaller model", ("seed",), ("synth", "rl"), _paths, makes_model=True
    )
    every = stages_of_run((*TRAINING, distil))
    monkeypatch.setattr(stages, "STAGES", every)
    assert [stage.name for stage in every][-3:] == ["distil", "evaluate", "report"]
    assert all("distil" in stage.inputs for stage in every[-2:])
    assert training_stages() == ["cpt", "sft", "rl", "distil"]

    evaluated: dict[str, str] = {}

    def evaluate(
        recipe: Recipe, models: dict[str, str], *_: object, **__: object
    ) -> SimpleNamespace:
        evaluated.update(models)
        return SimpleNamespace(headline="")

    monkeypatch.setattr("steiner.evaluation.evaluate.evaluate", evaluate)
    every[-2].work(RECIPE, tmp_path, tmp_path / "evaluate")
    assert evaluated["distil"] == str(tmp_path / "distil")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.42, "0.4 s"), (12.4, "12 s"), (192, "3 min 12 s"), (7260, "2 h 1 min")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
