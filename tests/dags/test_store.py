"""Parquet: the same records come back, `datasets` opens it, and damage is one clear line."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steiner.dags.path_sampling import Walk
from steiner.dags.solver import build_dag
from steiner.dags.source import SolverDagSource, StoredDagSource
from steiner.dags.store import (
    DAG_SCHEMA,
    PATH_SCHEMA,
    dag_table,
    path_table,
    problem_keys,
    read_dags,
    read_paths,
    state_from_json,
)
from steiner.randomness import random_stream
from steiner.tasks import generate_problems
from steiner.types import Problem, ReasoningDag, RunError, SearchPath, Split, StepTexts
from tests.puzzles import PUZZLES, puzzle, walks_through

DagsOf = Callable[[str], tuple[ReasoningDag, ...]]


@pytest.fixture(scope="module")
def dags(dags_of: DagsOf) -> list[ReasoningDag]:
    return [dag for name in PUZZLES for dag in dags_of(name)]


@pytest.fixture(scope="module")
def paths(dags: list[ReasoningDag]) -> list[SearchPath]:
    rng = random_stream("test store")
    walk = Walk(explore=0.6, cut=0.3)
    return [path for dag in dags for path in walks_through(dag, 3, walk, rng)]


@pytest.fixture
def file(paths: list[SearchPath], tmp_path: Path) -> Path:
    pq.write_table(path_table(paths), tmp_path / "paths.parquet")
    return tmp_path / "paths.parquet"


def test_paths_come_back_as_they_were(file: Path, paths: list[SearchPath]) -> None:
    assert list(read_paths(file)) == paths
    assert any(path.truncated for path in paths)


def test_random_order_is_that_of_the_stream(file: Path, paths: list[SearchPath]) -> None:
    first, again, other = (list(read_paths(file, random.Random(seed))) for seed in (1, 1, 2))
    assert first == again != other
    for read in (first, other):
        assert read != paths
        assert sorted(map(repr, read)) == sorted(map(repr, paths))


def test_datasets_opens_both(
    file: Path, dags: list[ReasoningDag], paths: list[SearchPath], tmp_path: Path
) -> None:
    from datasets import load_dataset

    dags_file = tmp_path / "dags.parquet"
    pq.write_table(dag_table(dags), dags_file)
    opened = load_dataset(
        "parquet",
        data_files={"dags": str(dags_file)},
        split="dags",
        cache_dir=str(tmp_path / "cache"),
    )
    assert opened.num_rows == len(dags)
    assert opened.column_names == DAG_SCHEMA.names
    assert [len(row["edges"]) for row in opened] == [len(dag.edges) for dag in dags]
    opened = load_dataset(
        "parquet", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert opened.column_names == PATH_SCHEMA.names
    assert opened[0]["answer"] == paths[0].answer
    assert opened[0]["split"] == "train"
    steps = opened[len(paths) - 1]["steps"]
    assert [step["next_step"] for step in steps] == [s.texts.next_step for s in paths[-1].steps]


def test_dag_rows_hold_the_whole_dag(dags: list[ReasoningDag]) -> None:
    for dag, row in zip(dags, dag_table(dags).to_pylist(), strict=True):
        assert row["key"] == dag.problem.key
        assert json.loads(row["spec"]) == dag.problem.spec
        for node, stated in zip(dag.nodes, row["nodes"], strict=True):
            assert state_from_json(stated["state"]) == node.state
            for name in ("status", "in_degree", "out_degree", "distance_start", "distance_end"):
                assert stated[name] == getattr(node, name)
        for edge, stated in zip(dag.edges, row["edges"], strict=True):
            assert (stated["source"], stated["target"]) == (edge.source, edge.target)
            assert state_from_json(stated["action"]) == edge.action


def test_a_node_has_the_texts_of_a_step_to_it(dags: list[ReasoningDag]) -> None:
    for dag, row in zip(dags, dag_table(dags).to_pylist(), strict=True):
        chosen = puzzle(dag.problem.family)
        texts = [tuple(stated[part] for part in StepTexts.__slots__) for stated in row["nodes"]]
        assert texts[0] == (None, None, None, None)  # no step leads to the start
        for node, stated in zip(dag.nodes[1:], texts[1:], strict=True):
            reading = chosen.read_step(dag.problem, StepTexts(*stated))
            assert (reading.after, reading.sound) == (node.state, True)
            assert reading.depth == node.distance_start


# ---------------------------------------------------------------------- damage


def _error_of(file: Path, hint: str = "delete it and run `steiner synth` again") -> str:
    with pytest.raises(RunError, match="cannot read") as caught:
        next(read_paths(file))
    assert caught.value.hint == hint
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.999])
def test_file_cut_short_is_one_clear_line(file: Path, kept: float) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept * len(whole))])
    _error_of(file)


def test_file_damaged_in_the_middle_is_one_clear_line(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    whole[100:300] = bytes(200)
    file.write_bytes(whole)
    _error_of(file)


def test_absent_file_is_one_clear_line(tmp_path: Path) -> None:
    _error_of(tmp_path / "paths.parquet", "run `steiner synth` first")


def test_file_of_another_kind_is_one_clear_line(file: Path, dags: list[ReasoningDag]) -> None:
    pq.write_table(dag_table(dags), file)
    _error_of(file)
    pq.write_table(pa.table({"family": [1, 2]}), file)
    _error_of(file)
    file.write_text("family,key\n")
    _error_of(file)


# ---------------------------------------------------------------------- DAGs


def test_dags_come_back_as_they_were(dags: list[ReasoningDag], tmp_path: Path) -> None:
    file = tmp_path / "dags.parquet"
    pq.write_table(dag_table(dags), file, row_group_size=2)
    assert list(read_dags(file)) == dags
    assert any(edge.certain for dag in dags for edge in dag.edges)


def test_stored_dags_equal_solved_ones(dags: list[ReasoningDag], tmp_path: Path) -> None:
    file = tmp_path / "dags.parquet"
    pq.write_table(dag_table(dags[:3]), file)
    stored, solver = StoredDagSource(file, otherwise=SolverDagSource()), SolverDagSource()
    for dag in dags:
        assert stored.dag(dag.problem) == solver.dag(dag.problem) == dag
    assert [stored.stored(dag.problem) for dag in dags] == [*dags[:3], *[None] * (len(dags) - 3)]
    with pytest.raises(RunError, match="no DAG of"):
        StoredDagSource(file).dag(dags[-1].problem)


@pytest.mark.parametrize("name", ["knights_knaves", "mini_sudoku", "jugs"])
def test_isomorphic_problems_have_dags_of_their_own(name: str, tmp_path: Path) -> None:
    problems = generate_problems(name, 1, seed=3, split=Split.TRAIN, isomorphic=True)
    found: dict[str, list[Problem]] = defaultdict(list)
    for problem in islice(problems, 3000):
        same = found[problem.key]
        if all(problem.spec != other.spec for other in same):
            same.append(problem)
        if len(same) == 2:
            break
    dags = [build_dag(problem) for problem in same]
    assert len(dags) == 2, "no isomorphic problems were drawn"
    file = tmp_path / "dags.parquet"
    pq.write_table(dag_table(dags), file)
    assert list(read_dags(file)) == dags
    assert [StoredDagSource(file).dag(problem) for problem in same] == dags


def test_the_keys_of_problems_are_read_from_files_of_dags_alone(
    dags: list[ReasoningDag], tmp_path: Path
) -> None:
    pq.write_table(dag_table(dags), tmp_path / "dags.parquet")
    assert problem_keys(tmp_path) == {dag.problem.key for dag in dags}
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "paths.parquet")
    with pytest.raises(RunError, match=r"paths\.parquet: it holds no paths"):
        problem_keys(tmp_path)
