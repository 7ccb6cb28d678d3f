"""DAGs against slow references: another search over the moves, and brute force over each family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from graphlib import TopologicalSorter
from itertools import permutations, product

import pytest

from steiner.dags import solver as build
from steiner.dags.solver import build_dag
from steiner.tasks import make_problem, task
from steiner.types import ReasoningDag, Spec, State, Status, UserError, Verdict
from tests.jug_rules import poured
from tests.puzzles import PUZZLES as NAMES

DagsOf = Callable[[str], tuple[ReasoningDag, ...]]


# ---------------------------------------------------------------------- distances and degrees


def _reachable(dag: ReasoningDag) -> dict[State, set[State]]:
    """Each state with the states one move away, depth first."""
    chosen, spec = task(dag.problem.family).generator, dag.problem.spec
    found: dict[State, set[State]] = {}
    stack = [chosen.start(spec)]
    while stack:
        state = stack.pop()
        if state not in found:
            found[state] = {move.state for move in chosen.moves(spec, state)}
            stack += found[state]
    return found


def _to_goal(dag: ReasoningDag, following: dict[State, set[State]]) -> Callable[[State], float]:
    """Fewest moves to a goal by plain recursion, infinite where there is no way."""
    chosen, spec = task(dag.problem.family).generator, dag.problem.spec

    @cache
    def distance(state: State) -> float:
        if chosen.verdict(spec, state) is Verdict.GOAL:
            return 0
        return 1 + min(map(distance, following[state]), default=float("inf"))

    return distance


def _from_start(start: State, following: dict[State, set[State]]) -> dict[State, float]:
    """Fewest moves from the start: distances are shortened until none can be."""
    distance = dict.fromkeys(following, float("inf")) | {start: 0}
    changed = True
    while changed:
        changed = False
        for state, others in following.items():
            for other in others:
                if distance[state] + 1 < distance[other]:
                    distance[other], changed = distance[state] + 1, True
    return distance


@pytest.mark.parametrize("name", NAMES)
def test_distances_and_degrees_are_those_of_a_slow_reference(name: str, dags_of: DagsOf) -> None:
    for dag in dags_of(name):
        following = _reachable(dag)
        assert {node.state for node in dag.nodes} == set(following)
        assert len(dag.nodes) == len(following)  # equal states are one node
        assert dag.nodes[0].state == task(name).generator.start(dag.problem.spec)
        d_s, d_e = _from_start(dag.nodes[0].state, following), _to_goal(dag, following)
        for node in dag.nodes:
            before = [state for state, others in following.items() if node.state in others]
            assert node.in_degree == len(before)
            assert node.out_degree == len(following[node.state])
            assert node.distance_start == d_s[node.state]
            expected = d_e(node.state)
            assert node.distance_end == (None if expected == float("inf") else expected)


@pytest.mark.parametrize("name", NAMES)
def test_edges_are_all_the_legal_moves(name: str, dags_of: DagsOf) -> None:
    chosen = task(name).generator
    for dag in dags_of(name):
        edges = {
            (dag.nodes[e.source].state, e.action, dag.nodes[e.target].state) for e in dag.edges
        }
        assert len(edges) == len(dag.edges)
        assert edges == {
            (node.state, move.action, move.state)
            for node in dag.nodes
            for move in chosen.moves(dag.problem.spec, node.state)
        }


@pytest.mark.parametrize("name", NAMES)
def test_no_way_leads_in_a_circle(name: str, dags_of: DagsOf) -> None:
    for dag in dags_of(name):
        before: dict[int, set[int]] = {index: set() for index in range(len(dag.nodes))}
        for edge in dag.edges:
            before[edge.target].add(edge.source)
        order = list(TopologicalSorter(before).static_order())  # raises CycleError
        assert sorted(order) == list(range(len(dag.nodes)))


@pytest.mark.parametrize("name", NAMES)
def test_states_are_shared_by_several_routes(name: str, dags_of: DagsOf) -> None:
    shared = [node for dag in dags_of(name) for node in dag.nodes if node.in_degree > 1]
    assert shared


# ---------------------------------------------------------------------- live, dead, goal


def _countdown_leads_on(spec: Spec) -> Callable[[State], bool]:
    """True if the target can be made, by all the arithmetic there is."""

    @cache
    def leads_on(numbers: State) -> bool:
        if len(numbers) == 1:
            return bool(numbers[0] == spec["target"])
        for i, j in permutations(range(len(numbers)), 2):
            a, b = numbers[i], numbers[j]
            rest = tuple(n for k, n in enumerate(numbers) if k not in (i, j))
            results = {a + b, a - b, a * b, *([a // b] if a % b == 0 else [])}
            if any(1 <= r <= 99 and leads_on((*rest, r)) for r in results):
                return True
        return False

    return leads_on


def _jugs_leads_on(spec: Spec) -> Callable[[State], bool]:
    """True if some jug holds the target within the moves left, whatever is done."""
    sizes = spec["capacities"]

    @cache
    def leads_on(state: State) -> bool:
        left, *held = state
        if spec["target"] in held:
            return True
        return left > 0 and any(leads_on((left - 1, *after)) for after in poured(sizes, held))

    return leads_on


CLAIMS: dict[str, Callable[[bool, bool], bool]] = {
    "knight": lambda a, b: a,
    "knave": lambda a, b: not a,
    "same": lambda a, b: a == b,
    "differ": lambda a, b: a != b,
    "either_knight": lambda a, b: a or b,
    "either_knave": lambda a, b: not a or not b,
    "both_knights": lambda a, b: a and b,
    "both_knaves": lambda a, b: not a and not b,
    "only": lambda a, b: a and not b,
    "if": lambda a, b: not a or b,
}


def _knights_leads_on(spec: Spec) -> Callable[[State], bool]:
    """True if some assignment that fits all claims has the roles known so far."""
    fitting = [
        roles
        for roles in product((0, 1), repeat=len(spec["names"]))
        if all(
            roles[who] == CLAIMS[kind](bool(roles[said[0]]), bool(roles[said[-1]]))
            for who, (kind, *said) in enumerate(spec["says"])
        )
    ]
    assert len(fitting) == 1
    return lambda state: all(known in (-1, r) for known, r in zip(state, fitting[0], strict=True))


def _sudoku_leads_on(spec: Spec) -> Callable[[State], bool]:
    """True if what is filled in belongs to a solution."""
    return lambda grid: any(True for _ in _solutions(list(grid)))


def _solutions(grid: list[int]):  # type: ignore[no-untyped-def]
    """All ways to fill the grid, cell by cell."""
    if any(_seen_twice(grid, cell) for cell in range(16)):
        return
    if 0 not in grid:
        yield tuple(grid)
        return
    cell = grid.index(0)
    for digit in range(1, 5):
        yield from _solutions([*grid[:cell], digit, *grid[cell + 1 :]])


def _seen_twice(grid: list[int], cell: int) -> bool:
    """True if the cell's digit stands in another cell of its row, column or box."""

    def units(cell: int) -> tuple[int, int, tuple[int, int]]:
        row, column = divmod(cell, 4)
        return row, column, (row // 2, column // 2)

    return grid[cell] != 0 and any(
        grid[other] == grid[cell]
        and any(a == b for a, b in zip(units(cell), units(other), strict=True))
        for other in range(16)
        if other != cell
    )


LEADS_ON = {
    "countdown": _countdown_leads_on,
    "jugs": _jugs_leads_on,
    "knights_knaves": _knights_leads_on,
    "mini_sudoku": _sudoku_leads_on,
}


def _without_spare_moves(dag: ReasoningDag) -> ReasoningDag:
    """With spare moves a person could start again; a search of jugs never goes back."""
    limit = {"max_moves": dag.nodes[0].distance_end}
    return build_dag(replace(dag.problem, spec={**dag.problem.spec, **limit}))


@pytest.mark.parametrize("name", LEADS_ON)
def test_nodes_are_dead_just_where_brute_force_finds_no_way(name: str, dags_of: DagsOf) -> None:
    statuses = set()
    for each in dags_of(name):
        dag = _without_spare_moves(each) if name == "jugs" else each
        leads_on = LEADS_ON[name](dag.problem.spec)
        for node in dag.nodes:
            goal = task(name).generator.verdict(dag.problem.spec, node.state) is Verdict.GOAL
            assert (node.status is Status.GOAL) == goal
            assert (node.status is Status.DEAD) == (not leads_on(node.state))
            statuses.add(node.status)
    assert statuses == set(Status)


# ---------------------------------------------------------------------- what cannot be built


def test_problem_without_solution_is_told() -> None:
    problem = make_problem("countdown", {"numbers": [1, 1, 1], "target": 50})
    with pytest.raises(UserError, match="this countdown problem has no solution"):
        build_dag(problem)


def test_too_many_states_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make_problem("countdown", {"numbers": [9, 7, 5, 3], "target": 24})
    size = len(build_dag(problem).nodes)
    monkeypatch.setattr(build, "MAX_NODES", size)
    build_dag(problem)
    monkeypatch.setattr(build, "MAX_NODES", size - 1)
    with pytest.raises(UserError, match=f"more than {size - 1} states"):
        build_dag(problem)
