"""`steiner inspect`: the training data of a run as one HTML page, to judge them before training.

run folder (synth/dags.parquet, synth/paths.parquet, synth/manifest.json) -> inspect.html

For some problems of each task: the question, its reasoning DAG as a drawing, and its search paths
with all texts. Nodes stand in columns by their distance from the question.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from steiner.dags.store import read_dags, read_paths
from steiner.evaluation.report import ASSETS, template
from steiner.files import read_json, write_text
from steiner.progress import plural
from steiner.rl.evidence_rewards import EvidenceScorer, StepValue
from steiner.types import Decision, Node, ReasoningDag, SearchPath

MAX_NODES = 120
"""Larger DAGs are not drawn."""
_COLUMN, _ROW, _MARGIN, _RADIUS = 120, 34, 24, 9
_PATHS_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Drawing:
    """A DAG as SVG elements: circles and lines with coordinates."""

    width: int
    height: int
    nodes: tuple[dict[str, Any], ...]
    edges: tuple[dict[str, Any], ...]


def write_inspect_page(run_dir: Path, num_problems: int) -> Path:
    """Writes `run_dir/inspect.html` and returns its path. Raises RunError for damaged data."""
    synth = run_dir / "synth"
    dags = _some_of_each_task(synth / "dags.parquet", num_problems)
    keys = {dag.problem.key for dag in dags}
    paths: dict[str, list[SearchPath]] = defaultdict(list)
    for path in read_paths(synth / "paths.parquet"):
        if path.problem.key in keys and len(paths[path.problem.key]) < _PATHS_SHOWN:
            paths[path.problem.key].append(path)
    page = template("inspect.html.j2").render(
        name=run_dir.name,
        css=(ASSETS / "report.css").read_text(encoding="utf-8"),
        counts=_counts(synth),
        problems=[_problem(dag, paths[dag.problem.key]) for dag in dags],
    )
    write_text(run_dir / "inspect.html", page)
    return run_dir / "inspect.html"


def draw(dag: ReasoningDag) -> Drawing:
    """Nodes in columns by distance from the start; live ones above dead ones."""
    columns: dict[int, list[int]] = defaultdict(list)
    for index, node in enumerate(dag.nodes):
        columns[node.distance_start].append(index)
    place: dict[int, tuple[int, int]] = {}
    for column, indices in columns.items():
        indices.sort(key=lambda index: (dag.nodes[index].distance_end is None, index))
        for row, index in enumerate(indices):
            place[index] = (_MARGIN + column * _COLUMN, _MARGIN + row * _ROW)
    titles = _titles(dag)
    nodes = tuple(
        {
            "x": place[index][0],
            "y": place[index][1],
            "kind": str(node.status),
            "label": _label(node),
            "title": titles[index],
        }
        for index, node in enumerate(dag.nodes)
    )
    edges = tuple(
        {
            "path": _line(place[edge.source], place[edge.target]),
            "kind": "dead" if dag.nodes[edge.target].distance_end is None else "live",
        }
        for edge in dag.edges
    )
    height = 2 * _MARGIN + (max(map(len, columns.values())) - 1) * _ROW
    return Drawing(2 * _MARGIN + (max(columns) + 1) * _COLUMN, height, nodes, edges)


def _some_of_each_task(file: Path, count: int) -> list[ReasoningDag]:
    """The first DAGs of each task, `count` in all."""
    found: dict[str, list[ReasoningDag]] = defaultdict(list)
    for dag in islice(read_dags(file), 50 * count):
        found[dag.problem.family].append(dag)
    share = max(1, count // max(1, len(found)))
    return [dag for dags in found.values() for dag in dags[:share]]


def _counts(synth: Path) -> list[tuple[str, int]]:
    counts = read_json(synth / "manifest.json")["counts"]
    return [(name, count) for name, count in counts.items() if isinstance(count, int)]


def _problem(dag: ReasoningDag, paths: Sequence[SearchPath]) -> dict[str, Any]:
    questions = {dag.problem.question, *(path.problem.question for path in paths)}
    return {
        "family": dag.problem.family,
        "has_one_question": len(questions) == 1,
        "question": dag.problem.question,
        "num_nodes": len(dag.nodes),
        "num_edges": len(dag.edges),
        "num_dead": sum(node.distance_end is None for node in dag.nodes),
        "drawing": draw(dag) if len(dag.nodes) <= MAX_NODES else None,
        "paths": [_path(path) for path in paths],
    }


def _path(path: SearchPath) -> dict[str, Any]:
    backtracks = sum(step.decision is Decision.BACKTRACK for step in path.steps)
    ending = ", cut" if path.truncated else ""
    return {
        "title": f"{plural(len(path.steps), 'step')}, {plural(backtracks, 'backtrack')}{ending}",
        "question": path.problem.question,
        "steps": [
            {"texts": step.texts, "decision": str(step.decision), "depth": step.depth}
            for step in path.steps
        ],
        "answer": path.answer,
    }


def _titles(dag: ReasoningDag) -> list[str]:
    """The text of a node under the pointer: its step and, if a teacher has continued from it,
    what it is worth to RL."""
    texts = _texts(dag)
    titles = [texts.get(index, "the question") for index in range(len(dag.nodes))]
    if not _is_teachers(dag.nodes[0]):
        return titles
    values = EvidenceScorer(dag).node_values
    return [
        f"{title}\n{_evidence(node, value)}" if node.state[3] else title
        for title, node, value in zip(titles, dag.nodes, values, strict=True)
    ]


def _evidence(node: Node, value: StepValue) -> str:
    """`0 of 3 continuations right; chance of the answer 0.20, 95 % interval 0.01 to 0.60`."""
    _, _, right, tried = node.state
    chance = f"{value.value:.2f}, 95 % interval {value.low:.2f} to {value.high:.2f}"
    return f"{right} of {tried} continuations right; chance of the answer {chance}"


def _texts(dag: ReasoningDag) -> dict[int, str]:
    """Text of a node: the summary of a step that leads to it, where its edge has the texts."""
    return {
        edge.target: "\n".join(edge.action)
        for edge in dag.edges
        if len(edge.action) == 4 and all(isinstance(text, str) for text in edge.action)
    }


def _label(node: Node) -> str:
    """The computed value and the evidence of a teacher's node; nothing for a solver's."""
    if not _is_teachers(node):
        return ""
    _, value, right, tried = node.state
    return f"{value} ({right}/{tried})" if tried else str(value)


def _is_teachers(node: Node) -> bool:
    """True if the node's state is that of teacher/building.py."""
    return len(node.state) == 4 and isinstance(node.state[1], str)


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    """A curve from the right of one node to the left of another."""
    (x0, y0), (x1, y1) = start, end
    x0, x1 = x0 + _RADIUS, x1 - _RADIUS
    middle = (x0 + x1) // 2
    return f"M{x0},{y0} C{middle},{y0} {middle},{y1} {x1},{y1}"
