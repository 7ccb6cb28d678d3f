"""The whole ReasoningDag of a problem, by exact search.

Problem -> ReasoningDag

The original made its DAGs by clustering truncated completions of a language model; here every legal
step from every reachable state is known, and equal states are one node, so that e_i, e_o, d_s and
d_e are exact.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence

from steiner.tasks import task
from steiner.tasks.no_answer import no_answer
from steiner.types import (
    Edge,
    Node,
    Problem,
    ReasoningDag,
    State,
    Status,
    UserError,
    Verdict,
)

MAX_NODES = 20_000


def build_dag(problem: Problem) -> ReasoningDag:
    """The DAG of all states that legal steps reach.

    Raises UserError for more than MAX_NODES states, and if no goal can be reached unless the
    problem says so itself (steiner/tasks/no_answer.py).
    """
    states, edges = _explore(problem)
    goals = _goals(problem, states)
    distance_end = distances(len(states), goals, [(e.target, e.source) for e in edges])
    if distance_end[0] is None and no_answer(problem.spec) is None:
        raise UserError(
            f"this {problem.family} problem has no solution", "change its numbers and ask again"
        )
    links = {(edge.source, edge.target) for edge in edges}
    in_degree, out_degree = [0] * len(states), [0] * len(states)
    for source, target in links:
        in_degree[target] += 1
        out_degree[source] += 1
    distance_start = distances(len(states), [0], [(e.source, e.target) for e in edges])
    nodes = tuple(
        Node(
            state=state,
            status=status_of(index in goals, distance_end[index]),
            in_degree=in_degree[index],
            out_degree=out_degree[index],
            distance_start=distance_start[index] or 0,
            distance_end=distance_end[index],
        )
        for index, state in enumerate(states)
    )
    return ReasoningDag(problem, nodes, edges)


def _explore(problem: Problem) -> tuple[list[State], tuple[Edge, ...]]:
    space = task(problem.family).require_state_space()
    states = [space.start(problem.spec)]
    index_of = {states[0]: 0}
    edges: list[Edge] = []
    for source, state in enumerate(states):  # grows while it is read: breadth first
        for move in space.moves(problem.spec, state):
            target = index_of.setdefault(move.state, len(states))
            if target == len(states):
                states.append(move.state)
            edges.append(Edge(source, target, move.action, move.certain))
        if len(states) > MAX_NODES:
            raise UserError(
                f"this {problem.family} problem has more than {MAX_NODES:,} states",
                "ask one with fewer or smaller numbers",
            )
    return states, tuple(edges)


def _goals(problem: Problem, states: Sequence[State]) -> set[int]:
    space = task(problem.family).require_state_space()
    return {
        index
        for index, state in enumerate(states)
        if space.verdict(problem.spec, state) is Verdict.GOAL
    }


def distances(
    count: int, sources: Collection[int], links: Collection[tuple[int, int]]
) -> list[int | None]:
    """Fewest links from any of `sources` to each of `count` nodes; None where there is no way."""
    following: list[list[int]] = [[] for _ in range(count)]
    for source, target in links:
        following[source].append(target)
    distances: list[int | None] = [None] * count
    queue = deque((source, 0) for source in sources)
    for source in sources:
        distances[source] = 0
    while queue:
        node, distance = queue.popleft()
        for target in following[node]:
            if distances[target] is None:
                distances[target] = distance + 1
                queue.append((target, distance + 1))
    return distances


def status_of(is_goal: bool, distance_end: int | None) -> Status:
    """The status of a node with that distance to the nearest goal."""
    if is_goal:
        return Status.GOAL
    return Status.DEAD if distance_end is None else Status.LIVE
