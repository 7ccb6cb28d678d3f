"""Sampling Paths: linear walks through a ReasoningDag, with wrong turns and backtracking.

ReasoningDag -> Paths

The walker knows which nodes are dead, but behaves as one who must find out: it takes wrong turns,
follows them for a while, turns back to an earlier node where something else can be tried, and never
goes to a state twice. After Stream of Search (arXiv:2404.03683) and Steiner's description; departs
from both in that a walk never turns back from a live node, so that the decision to backtrack is a
true signal, and in that some walks are cut short and answered all the same, which teaches the
model to answer under any step budget.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from steiner.recipe import SynthRecipe
from steiner.tasks import Move, task
from steiner.tasks.no_answer import sentence
from steiner.types import (
    Decision,
    Edge,
    Problem,
    ReasoningDag,
    SearchPath,
    State,
    Status,
    Step,
    UserError,
)

_DEFAULTS = SynthRecipe()


@dataclass(frozen=True, slots=True)
class Walk:
    """Settings of a walk; SynthRecipe has the reasons for them."""

    explore: float = _DEFAULTS.explore
    """Chance of a wrong turn at a live node; each walk draws its own rate from 0 to twice it."""
    turn_back: float = _DEFAULTS.turn_back
    """Chance of leaving a dead branch at each of its nodes before it is exhausted."""
    back_jump: float = _DEFAULTS.back_jump
    """Chance, where the parent is dead too, of going back past it to a live node."""
    cut: float = _DEFAULTS.cut
    """Share of walks that end at a random step."""
    max_steps: int = _DEFAULTS.max_steps
    """Most steps, the one that reads the question included."""
    in_order: bool = False
    """After a backtrack, take the move that follows the last one tried there."""

    def __post_init__(self) -> None:
        for name in ("explore", "turn_back", "back_jump", "cut"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise UserError(f"synth.{name} is {value}", "it is a chance, from 0 to 1")
        if self.max_steps < 1:
            raise UserError(f"synth.max_steps is {self.max_steps}", "it is at least 1")


def sample_paths(
    dag: ReasoningDag, problems: Sequence[Problem], walk: Walk, rng: random.Random
) -> Iterator[SearchPath]:
    """A path through `dag` for each of `problems`, which state its problem in their own words.

    Each ends in the right answer. A search without a solution that takes more than max_steps gives
    no path.
    """
    walker = _Walker(dag, walk, rng)
    for problem in problems:
        walker.problem = problem
        if path := walker.path():
            yield path


def path_without_search(problem: Problem) -> SearchPath:
    """The only path where the question states no whole problem: it reads it and says so."""
    texts = task(problem.family).require_reader().reading(problem)
    step = Step(texts, Decision.END, 0)
    return SearchPath(problem, (step,), sentence(problem.spec, problem.language))


def reading_alone(problem: Problem) -> SearchPath:
    """The first step, which reads the question, and nothing after it."""
    texts = task(problem.family).require_reader().reading(problem)
    return SearchPath(problem, (Step(texts, Decision.PROCEED, 0, 0),), "", truncated=True)


def shortest_path(dag: ReasoningDag, rng: random.Random) -> SearchPath:
    """A path without a wrong turn, by fewest steps; for the baseline that never backtracks."""
    straight = Walk(explore=0.0, cut=0.0, max_steps=10_000)
    path = _Walker(dag, straight, rng, shortest=True).path()
    assert path is not None
    return path


class _Walker:
    """Walks one DAG. `branch` holds (node, edge taken to it) from the start to the present node."""

    def __init__(
        self, dag: ReasoningDag, walk: Walk, rng: random.Random, *, shortest: bool = False
    ) -> None:
        self.dag, self.walk, self.rng, self.shortest = dag, walk, rng, shortest
        self.problem = dag.problem
        self.reader = task(dag.problem.family).reader
        self.writer = task(dag.problem.family).require_step_writer()
        self.out: list[list[Edge]] = [[] for _ in dag.nodes]
        for edge in dag.edges:
            self.out[edge.source].append(edge)

    def path(self) -> SearchPath | None:
        """One path, cut or whole; None for a search without a solution that takes too long."""
        explore = self.rng.uniform(0, 2) * self.walk.explore
        steps, branch = self._walk(explore)
        if self.reader is not None:
            reading = self.reader.reading(self.problem)
            steps = [Step(reading, Decision.PROCEED, 0, 0), *steps]
        if self.dag.nodes[0].status is Status.DEAD:
            steps[-1] = _decided(steps[-1], Decision.END)
            answer = sentence(self.problem.spec, self.problem.language)
            is_short = len(steps) <= self.walk.max_steps
            return SearchPath(self.problem, tuple(steps), answer) if is_short else None
        cut = len(steps) > 1 and self.rng.random() < self.walk.cut
        limit = min(self.walk.max_steps, self.rng.randrange(1, len(steps)) if cut else len(steps))
        if limit == len(steps):
            return SearchPath(self.problem, tuple(steps), self._answer(branch))
        steps = steps[:limit]
        steps[-1] = _decided(steps[-1], Decision.END)
        return SearchPath(self.problem, tuple(steps), self._answer(branch), truncated=True)

    def _walk(self, explore: float) -> tuple[list[Step], list[Edge]]:
        """The steps of a walk up to a goal (with a margin beyond max_steps), and its branch."""
        steps: list[Step] = []
        branch: list[Edge] = []
        visited, last = {0}, dict[int, Edge]()
        while self._depth_after(branch, visited) >= 0:
            here = branch[-1].target if branch else 0
            in_order = self.walk.in_order and here in last
            if in_order:
                edge = self._following(last[here], visited)
            else:
                edge = self._choose(here, visited, explore)
            last[here] = edge
            branch.append(edge)
            visited.add(edge.target)
            step = self._step(edge, len(branch), chosen=not in_order)
            if self.dag.nodes[edge.target].status is Status.GOAL:
                return [*steps, _decided(step, Decision.END)], branch
            kept = self._depth_after(branch, visited)
            back = kept < len(branch)
            steps.append(_decided(step, Decision.BACKTRACK if back else Decision.PROCEED))
            if kept < 0:
                break
            del branch[kept:]
            if len(steps) >= self.walk.max_steps:
                explore = 0.0  # the rest is cut off; only its answer is wanted
                if self.dag.nodes[0].status is Status.DEAD:
                    break
        return steps, branch

    def _following(self, last: Edge, visited: set[int]) -> Edge:
        """The edge to a state not yet seen that comes next after `last`, the first after the last
        one."""
        edges = self.out[last.source]
        place = edges.index(last) + 1
        turn = (*edges[place:], *edges[:place])
        return next(edge for edge in turn if edge.target not in visited)

    def _choose(self, here: int, visited: set[int], explore: float) -> Edge:
        """The next edge: a wrong turn by chance, else one towards a goal. Of edges that all follow
        from `here` the first, since any of them would do and a model cannot foresee a chance."""
        right, wrong = self._untried(here, visited)
        if wrong and (not right or self.rng.random() < explore):
            edges = wrong
        elif self.shortest:
            nearest = min(self.dag.nodes[edge.target].distance_end or 0 for edge in right)
            edges = [e for e in right if self.dag.nodes[e.target].distance_end == nearest]
        else:
            edges = right
        return edges[0] if edges[0].certain else self.rng.choice(edges)

    def _untried(self, node: int, visited: set[int]) -> tuple[list[Edge], list[Edge]]:
        """Edges to states not yet seen, those to a live node or a goal first."""
        fresh = [edge for edge in self.out[node] if edge.target not in visited]
        right = [e for e in fresh if self.dag.nodes[e.target].status is not Status.DEAD]
        return right, [e for e in fresh if self.dag.nodes[e.target].status is Status.DEAD]

    def _depth_after(self, branch: list[Edge], visited: set[int]) -> int:
        """Number of edges of the branch that are kept: all to proceed, fewer to backtrack.

        -1 if everything has been tried without a solution.
        """
        nodes = [0, *(edge.target for edge in branch)]
        if self.dag.nodes[nodes[-1]].status is not Status.DEAD:
            return len(branch)
        chosen = [*(not edge.certain for edge in branch), True]
        open_depths = [
            d for d, node in enumerate(nodes) if chosen[d] and any(self._untried(node, visited))
        ]
        if not open_depths:
            return -1
        depth = open_depths.pop()
        if depth == len(branch) and self.rng.random() >= self.walk.turn_back:
            return depth
        if depth == len(branch) and open_depths:
            depth = open_depths.pop()
        live = [d for d in range(depth + 1) if self.dag.nodes[nodes[d]].status is Status.LIVE]
        if live and live[-1] < depth and self.rng.random() < self.walk.back_jump:
            return live[-1]
        return depth

    def _step(self, edge: Edge, depth: int, *, chosen: bool) -> Step:
        before = self.dag.nodes[edge.source]
        after = self.dag.nodes[edge.target]
        texts = self.writer.step_texts(
            self.problem,
            depth,
            before.state,
            Move(edge.action, after.state),
        )
        wrong = chosen and before.status is Status.LIVE and after.status is Status.DEAD
        return Step(texts, Decision.PROCEED, depth, edge.target, wrong)

    def _answer(self, branch: list[Edge]) -> str:
        nodes = self.dag.nodes
        moves: list[tuple[State, Move]] = [
            (nodes[edge.source].state, Move(edge.action, nodes[edge.target].state))
            for edge in branch
        ]
        return self.writer.answer(self.problem, moves)


def _decided(step: Step, decision: Decision) -> Step:
    return Step(step.texts, decision, step.depth, step.node, step.wrong_turn)
