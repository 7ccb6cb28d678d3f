"""The page of a run's training data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from steiner.cli.main import main
from steiner.dags.solver import build_dag
from steiner.dags.synthesis import synthesise
from steiner.evaluation.inspect_page import draw, write_inspect_page
from steiner.questions.reading import Question
from steiner.questions.task import problem_of
from steiner.recipe import ProblemsRecipe, Recipe, SynthRecipe
from steiner.teacher.building import START, DagBuilder
from steiner.types import SearchPath, Status, StepTexts
from tests.teacher.scripted_endpoint import Script, scripted_endpoint, sums_file

RECIPE = Recipe(
    "inspect",
    problems=ProblemsRecipe({"countdown": 1, "jugs": 1}),
    synth=SynthRecipe(dags=12, paths=36, workers=1),
)


def test_the_page_shows_questions_dags_and_steps(tmp_path: Path) -> None:
    synthesise(RECIPE, tmp_path / "synth")
    page = write_inspect_page(tmp_path, 4).read_text(encoding="utf-8")
    assert page.count("<svg") == 4
    assert page.count("countdown ·") == page.count("jugs ·") == 2
    assert "Read the question" in page
    assert not re.search(r"(src|href)=.https?:", page)


def test_a_drawing_has_every_node_and_edge(known_path: SearchPath) -> None:
    dag = build_dag(known_path.problem)
    drawing = draw(dag)
    assert len(drawing.nodes) == len(dag.nodes)
    assert len(drawing.edges) == len(dag.edges)
    kinds = [node["kind"] for node in drawing.nodes]
    assert kinds.count("dead") == sum(node.status is Status.DEAD for node in dag.nodes)
    assert len({(node["x"], node["y"]) for node in drawing.nodes}) == len(dag.nodes)


def test_a_teachers_nodes_show_their_evidence() -> None:
    builder = DagBuilder(problem_of(Question("How much?", "7"), "questions"))
    builder.add_chain([_step("a = 3"), _step("b = 7")], START, is_right=True)
    wrong = builder.add_chain([_step("a = 4"), _step("b = 8")], START, is_right=False)
    builder.add_evidence(wrong[0], [False, False, False])
    builder.add_evidence(START, [True, False])
    nodes = draw(builder.build()).nodes
    titles = {node["label"]: node["title"].splitlines() for node in nodes}
    assert list(titles) == [" (1/2)", "3", "4 (0/3)", "7", "8"]
    assert titles["4 (0/3)"][:3] == ["do a = 4", "known", "a = 4"]
    assert titles["4 (0/3)"][4] == (
        "0 of 3 continuations right; chance of the answer 0.20, 95 % interval 0.01 to 0.60"
    )
    assert titles[" (1/2)"][0] == "the question"
    assert titles[" (1/2)"][1].startswith("1 of 2 continuations right")
    assert titles["3"] == ["do a = 3", "known", "a = 3", "a = 3 holds"]


def test_the_page_of_a_teachers_run(tmp_path: Path) -> None:
    file = sums_file(tmp_path)
    with scripted_endpoint(Script()) as url:
        command = ["synth", "--questions", str(file), "--grader", "number", "--out", str(tmp_path)]
        assert main([*command, "--teacher", "scripted", "--teacher-url", url]) == 0
    page = write_inspect_page(tmp_path, 4).read_text(encoding="utf-8")
    assert page.count("<svg") == 4
    assert "add 41" in page or "add 40" in page  # the texts of steps
    assert re.search(r"<text [^>]*>\d+ \(0/[36]\)</text>", page)
    assert "of 3 continuations right; chance of the answer" in page
    assert "The sum in the last step is too large." in page  # the correction of a dead end


def _step(summary: str) -> StepTexts:
    return StepTexts(f"do {summary}", "known", summary, f"{summary} holds")


def test_a_folder_without_data_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(tmp_path)]) == 2
    assert "no synth/ in" in capsys.readouterr().err
