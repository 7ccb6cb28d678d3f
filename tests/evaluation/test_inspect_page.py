"""The page of a run's training data."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from steiner.cli.main import main
from steiner.dags.solver import build_dag
from steiner.dags.synthesis import synthesise
from steiner.evaluation.inspect_page import draw, write_inspect_page
from steiner.recipe import ProblemsRecipe, Recipe, SynthRecipe
from steiner.types import SearchPath, Status

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


def test_a_folder_without_data_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inspect", str(tmp_path)]) == 2
    assert "no synth/ in" in capsys.readouterr().err
