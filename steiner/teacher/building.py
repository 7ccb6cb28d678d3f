"""Builds a ReasoningDag from the steps that a teacher wrote for one question.

Chains of steps, evidence -> ReasoningDag

Equal steps of one question become one node: steps with the same computed value, or, without a
value, steps whose summaries are alike by TF-IDF. A step never becomes one with a step that leads to
it, so there are no cycles. Nothing leaves a goal. A node is live if a goal can be reached from it,
else dead.

A node's state is (id, value, right, tried): of `tried` continuations from it without the answer,
`right` reached the answer. An edge's action holds the four texts of its step.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from steiner.teacher.steps import value_of
from steiner.types import Edge, Node, Problem, ReasoningDag, Status, StepTexts

START = 0
UNEXPLAINED = "This does not lead to the answer."
"""Verification of a dead end that the teacher gave no reason for."""
ALIKE = 0.85
"""Least TF-IDF cosine of the summaries of equal steps."""


@dataclass(slots=True)
class DagBuilder:
    """Collects the steps of one question."""

    problem: Problem
    values: list[str] = field(default_factory=lambda: [""])
    """Computed value of each node; the first node is the question."""
    summaries: list[str] = field(default_factory=lambda: [""])
    edges: dict[tuple[int, int], StepTexts] = field(default_factory=dict)
    goals: set[int] = field(default_factory=set)
    right: Counter[int] = field(default_factory=Counter)
    tried: Counter[int] = field(default_factory=Counter)
    corrections: dict[int, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add_chain(self, steps: Sequence[StepTexts], start: int, *, is_right: bool) -> list[int]:
        """Adds steps from the node `start` on; the nodes reached, in order.

        The last step of a right chain reaches a goal.
        """
        here, reached = start, []
        for index, step in enumerate(steps):
            if here in self.goals:
                self.counts["steps after the answer"] += 1
                break
            num_nodes = len(self.values)
            ends = is_right and index == len(steps) - 1
            node = self._find(step, here)
            if node is None or (ends and self._has_children(node)):
                node = self._new_node(step)
            self.counts["steps merged"] += len(self.values) == num_nodes
            self.edges.setdefault((here, node), step)
            here = node
            reached.append(node)
            if ends:
                self.goals.add(node)
        return reached

    def known_steps(self, steps: Sequence[StepTexts], start: int) -> int:
        """How many of the first steps after the node `start` are edges of the DAG already."""
        here = start
        for index, step in enumerate(steps):
            node = self._find(step, here)
            if node is None or (here, node) not in self.edges:
                return index
            here = node
        return len(steps)

    def add_evidence(self, node: int, grades: Iterable[bool]) -> None:
        """Records continuations from a node: whether each reached the answer."""
        for is_right in grades:
            self.tried[node] += 1
            self.right[node] += is_right

    def add_correction(self, node: int, reason: str) -> None:
        """What is wrong with the steps that lead to a dead node; it becomes their verification,
        where no wrong step follows."""
        self.corrections[node] = reason

    def build(self) -> ReasoningDag:
        """The DAG of all nodes that the start reaches."""
        children, parents = self._neighbours()
        from_start = _distances([START], children)
        to_goal = _distances(self.goals & from_start.keys(), parents)
        order = sorted(from_start, key=lambda node: (from_start[node], node))
        index = {node: place for place, node in enumerate(order)}
        nodes = []
        for node in order:
            status = Status.LIVE if node in to_goal else Status.DEAD
            nodes.append(
                Node(
                    state=(index[node], self.values[node], self.right[node], self.tried[node]),
                    status=Status.GOAL if node in self.goals else status,
                    in_degree=sum(parent in from_start for parent in parents[node]),
                    out_degree=len(children[node]),
                    distance_start=from_start[node],
                    distance_end=to_goal.get(node),
                )
            )
        dead_ends = {node for node in from_start if node not in to_goal and not children[node]}
        edges = []
        for (source, target), step in self.edges.items():
            if source in index:
                if target in dead_ends:
                    reason = self.corrections.get(target, UNEXPLAINED)
                    step = replace(step, verification=reason)
                edges.append(Edge(index[source], index[target], _texts(step)))
        return ReasoningDag(self.problem, tuple(nodes), tuple(sorted(edges, key=_place)))

    def _find(self, step: StepTexts, here: int) -> int | None:
        """The node of an equal step, none of those that lead to `here`."""
        value = value_of(step.summary)
        _, parents = self._neighbours()
        before = {START, *_distances([here], parents)}
        others = [n for n in range(len(self.values)) if n not in before and self.values[n] == value]
        if value or not others:
            return min(others, default=None)
        similar = _similarities(step.summary, [self.summaries[n] for n in others])
        likeness, node = max(zip(similar, others, strict=True))
        return node if likeness >= ALIKE else None

    def _new_node(self, step: StepTexts) -> int:
        self.values.append(value_of(step.summary))
        self.summaries.append(step.summary)
        return len(self.values) - 1

    def _has_children(self, node: int) -> bool:
        return any(source == node for source, _ in self.edges)

    def _neighbours(self) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        children: dict[int, list[int]] = {node: [] for node in range(len(self.values))}
        parents: dict[int, list[int]] = {node: [] for node in range(len(self.values))}
        for source, target in self.edges:
            children[source].append(target)
            parents[target].append(source)
        return children, parents


def _texts(step: StepTexts) -> tuple[str, ...]:
    return step.next_step, step.understanding, step.summary, step.verification


def _place(edge: Edge) -> tuple[int, int]:
    return edge.source, edge.target


def _distances(starts: Iterable[int], neighbours: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """Fewest edges from any of `starts` to each node that they reach."""
    found = dict.fromkeys(starts, 0)
    queue = deque(found)
    while queue:
        node = queue.popleft()
        for following in neighbours[node]:
            if following not in found:
                found[following] = found[node] + 1
                queue.append(following)
    return found


def _similarities(text: str, others: Sequence[str]) -> list[float]:
    """TF-IDF cosine of `text` with each of `others`."""
    if not others:
        return []
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics.pairwise import cosine_similarity

    try:
        weights = TfidfVectorizer(token_pattern=r"\w+").fit_transform([text, *others])
    except ValueError:  # no word in any of them
        return [float(text == other) for other in others]
    return [float(value) for value in cosine_similarity(weights[0], weights[1:])[0]]
