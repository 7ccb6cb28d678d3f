"""DAGs and Paths as Parquet, one row each, with plain nested columns.

ReasoningDag, SearchPath <-> rows of dags.parquet and paths.parquet

`datasets.load_dataset("parquet", ...)` opens both. Specs, states and actions are JSON text, since
each family has its own.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from steiner.files import reason_and_hint
from steiner.tasks import Move, task
from steiner.types import (
    Decision,
    Edge,
    Message,
    Node,
    Problem,
    ReasoningDag,
    RunError,
    SearchPath,
    State,
    Status,
    Step,
    StepTexts,
)

_PROBLEM = [
    ("family", pa.string()),
    ("key", pa.string()),
    ("level", pa.int32()),
    ("language", pa.string()),
    ("voice", pa.string()),
    ("split", pa.string()),
    ("messages", pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))),
    ("spec", pa.string()),
]
_TEXTS = [(name, pa.string()) for name in StepTexts.__slots__]
_NODE = [
    ("state", pa.string()),
    ("status", pa.string()),
    ("in_degree", pa.int32()),
    ("out_degree", pa.int32()),
    ("distance_start", pa.int32()),
    ("distance_end", pa.int32()),
    *_TEXTS,
]
_EDGE = [
    ("source", pa.int32()),
    ("target", pa.int32()),
    ("action", pa.string()),
    ("certain", pa.bool_()),
]
_STEP = [
    *_TEXTS,
    ("decision", pa.string()),
    ("depth", pa.int32()),
    ("node", pa.int32()),
    ("wrong_turn", pa.bool_()),
]

_AGAIN = "delete it and run `steiner synth` again"
_READ_ROWS = 500
"""Rows made into records at a time."""

DAG_SCHEMA = pa.schema(
    [*_PROBLEM, ("nodes", pa.list_(pa.struct(_NODE))), ("edges", pa.list_(pa.struct(_EDGE)))]
)
PATH_SCHEMA = pa.schema(
    [
        *_PROBLEM,
        ("steps", pa.list_(pa.struct(_STEP))),
        ("answer", pa.string()),
        ("truncated", pa.bool_()),
    ]
)


def dag_table(dags: Sequence[ReasoningDag]) -> pa.Table:
    """One row a DAG; a node has the four texts of the first step that reaches it."""
    return pa.Table.from_pylist([_dag_row(dag) for dag in dags], schema=DAG_SCHEMA)


def path_table(paths: Sequence[SearchPath]) -> pa.Table:
    """One row a SearchPath."""
    return pa.Table.from_pylist([_path_row(path) for path in paths], schema=PATH_SCHEMA)


def read_paths(file: Path, rng: random.Random | None = None) -> Iterator[SearchPath]:
    """The Paths of a paths.parquet, in random order where `rng` is given.

    Raises RunError where the file is cut short or of another kind.
    """
    table = _path_rows(file)
    order = list(range(table.num_rows))
    if rng is not None:
        rng.shuffle(order)
    for start in range(0, len(order), _READ_ROWS):
        for row in table.take(order[start : start + _READ_ROWS]).to_pylist():
            yield _path(row)


def problem_keys(folder: Path) -> frozenset[str]:
    """The canonical keys of all problems in the data of `steiner synth`.

    Raises RunError as `read_paths` does.
    """
    kinds = (("dags.parquet", DAG_SCHEMA, "DAGs"), ("paths.parquet", PATH_SCHEMA, "paths"))
    files = [_opened(folder / name, *kind) for name, *kind in kinds if (folder / name).is_file()]
    columns = (file.read(columns=["key"]).column("key") for file in files)
    return frozenset(key for column in columns for key in column.unique().to_pylist())


def num_path_groups(file: Path) -> int:
    """Number of row groups of a paths.parquet. Raises RunError as `read_paths` does."""
    return int(_opened(file, PATH_SCHEMA, "paths").num_row_groups)


def path_families(file: Path) -> set[str]:
    """The tasks of a paths.parquet. Raises RunError as `read_paths` does."""
    column = _opened(file, PATH_SCHEMA, "paths").read(columns=["family"]).column("family")
    return set(column.unique().to_pylist())


def read_path_group(file: Path, group: int) -> Iterator[SearchPath]:
    """The Paths of one row group. Raises RunError as `read_paths` does."""
    table = _opened(file, PATH_SCHEMA, "paths").read_row_group(group)
    return map(_path, table.to_pylist())


def read_dags(file: Path) -> Iterator[ReasoningDag]:
    """The DAGs of a dags.parquet in their order. Raises RunError if the file is damaged."""
    opened = _opened(file, DAG_SCHEMA, "DAGs")
    for group in range(opened.num_row_groups):
        yield from map(_dag, opened.read_row_group(group).to_pylist())


class DagFile:
    """The DAGs of a dags.parquet by problem; one row group is in memory at a time.

    Isomorphic problems have one key and different specs; each has a DAG of its own.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _opened(path, DAG_SCHEMA, "DAGs")
        self._place: dict[tuple[str, str], tuple[int, int]] = {}
        for group in range(self._file.num_row_groups):
            rows = self._file.read_row_group(group, columns=["key", "spec"]).to_pylist()
            for place, row in enumerate(rows):
                self._place[row["key"], _spec_text(json.loads(row["spec"]))] = (group, place)
        self._group, self._table = -1, DAG_SCHEMA.empty_table()

    def dag(self, problem: Problem) -> ReasoningDag | None:
        """The DAG of exactly this problem; None if the file has none."""
        name = (problem.key, _spec_text(problem.spec))
        if name not in self._place:
            return None
        group, place = self._place[name]
        if group != self._group:
            self._group, self._table = group, self._file.read_row_group(group)
        return _dag(self._table.slice(place, 1).to_pylist()[0])


def _spec_text(spec: Mapping[str, Any]) -> str:
    """The spec as text that does not depend on the order of its keys."""
    return json.dumps(spec, sort_keys=True)


def _path_rows(file: Path) -> pa.Table:
    opened = _opened(file, PATH_SCHEMA, "paths")
    try:
        return opened.read()
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(file, error) from error


def _opened(file: Path, schema: pa.Schema, what: str) -> pq.ParquetFile:
    try:
        opened = pq.ParquetFile(file)
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(file, error) from error
    if not opened.schema_arrow.equals(schema):
        raise RunError(f"cannot read {file}: it holds no {what}", _AGAIN)
    return opened


def _unreadable(file: Path, error: Exception) -> RunError:
    reason, hint = reason_and_hint(error, _AGAIN)
    if isinstance(error, FileNotFoundError):
        hint = "run `steiner synth` first"
    return RunError(f"cannot read {file}: {reason}", hint)


def _problem_row(problem: Problem) -> dict[str, Any]:
    return {
        "family": problem.family,
        "key": problem.key,
        "level": problem.level,
        "language": problem.language,
        "voice": problem.voice,
        "split": str(problem.split),
        "messages": [{"role": m.role, "content": m.content} for m in problem.messages],
        "spec": json.dumps(problem.spec),
    }


def _dag_row(dag: ReasoningDag) -> dict[str, Any]:
    texts = _first_texts(dag)
    nodes = [_node_row(node, texts.get(index)) for index, node in enumerate(dag.nodes)]
    edges = [
        {
            "source": edge.source,
            "target": edge.target,
            "action": json.dumps(edge.action),
            "certain": edge.certain,
        }
        for edge in dag.edges
    ]
    return {**_problem_row(dag.problem), "nodes": nodes, "edges": edges}


def _first_texts(dag: ReasoningDag) -> dict[int, StepTexts]:
    writer = task(dag.problem.family).require_step_writer()
    texts: dict[int, StepTexts] = {}
    for edge in dag.edges:
        if edge.target not in texts:
            before, after = dag.nodes[edge.source], dag.nodes[edge.target]
            move = Move(edge.action, after.state)
            texts[edge.target] = writer.step_texts(
                dag.problem, before.distance_start + 1, before.state, move
            )
    return texts


def _node_row(node: Node, texts: StepTexts | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "state": json.dumps(node.state),
        "status": str(node.status),
        "in_degree": node.in_degree,
        "out_degree": node.out_degree,
        "distance_start": node.distance_start,
        "distance_end": node.distance_end,
    }
    return row | (_texts_row(texts) if texts else {})


def _texts_row(texts: StepTexts) -> dict[str, Any]:
    return {
        "next_step": texts.next_step,
        "understanding": texts.understanding,
        "summary": texts.summary,
        "verification": texts.verification,
    }


def _path_row(path: SearchPath) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [
        _texts_row(step.texts)
        | {
            "decision": str(step.decision),
            "depth": step.depth,
            "node": step.node,
            "wrong_turn": step.wrong_turn,
        }
        for step in path.steps
    ]
    return {
        **_problem_row(path.problem),
        "steps": steps,
        "answer": path.answer,
        "truncated": path.truncated,
    }


def _problem(row: dict[str, Any]) -> Problem:
    return Problem(
        family=row["family"],
        key=row["key"],
        level=row["level"],
        language=row["language"],
        voice=row["voice"],
        messages=tuple(Message(m["role"], m["content"]) for m in row["messages"]),
        spec=json.loads(row["spec"]),
    )


def _dag(row: dict[str, Any]) -> ReasoningDag:
    edges = (
        Edge(edge["source"], edge["target"], state_from_json(edge["action"]), edge["certain"])
        for edge in row["edges"]
    )
    return ReasoningDag(_problem(row), tuple(map(_node, row["nodes"])), tuple(edges))


def _node(row: dict[str, Any]) -> Node:
    return Node(
        state_from_json(row["state"]),
        Status(row["status"]),
        row["in_degree"],
        row["out_degree"],
        row["distance_start"],
        row["distance_end"],
    )


def _path(row: dict[str, Any]) -> SearchPath:
    steps = tuple(_step(step) for step in row["steps"])
    return SearchPath(_problem(row), steps, row["answer"], row["truncated"])


def _step(row: dict[str, Any]) -> Step:
    texts = StepTexts(row["next_step"], row["understanding"], row["summary"], row["verification"])
    return Step(texts, Decision(row["decision"]), row["depth"], row["node"], row["wrong_turn"])


def state_from_json(text: str) -> State:
    """A State as it was before JSON made lists of its tuples."""
    state: State = _tuple(json.loads(text))
    return state


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value
