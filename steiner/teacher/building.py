"""Builds a ReasoningDag from the steps that a teacher wrote for one question.

Chains of steps, evidence -> ReasoningDag

Equal steps of one question become one node: steps with the same computed value, or, without a
value, steps whose summaries are alike by TF-IDF of words and pairs of words, have the words that
they share in the same order, and negate the same number of times. A step never becomes one with a
step that leads to it, so there are no cycles. Nothing leaves a goal. A node is live if a goal can
be reached from it, else dead.

A node's state is (id, value, right, tried): of `tried` continuations from it without the answer,
`right` reached the answer. An edge's action holds the four texts of its step.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field, replace
from operator import attrgetter

from steiner.dags.solver import distances, status_of
from steiner.teacher.steps import value_of
from steiner.types import Edge, Node, Problem, ReasoningDag, StepTexts

START = 0
UNEXPLAINED = "This does not lead to the answer."
"""Verification of a dead end that the teacher gave no reason for."""
ALIKE = 0.85
"""Least TF-IDF cosine of the summaries of equal steps."""
_WORD = r"\w+"
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|cannot|neither|nor|without)\b|n['\u2019]t", re.IGNORECASE
)


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
        """Counts the leading steps, from the node `start` on, that are edges of the DAG already."""
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
        """Sets the reason why a node is dead. It becomes the verification of the steps that lead to
        the node, unless a wrong step follows."""
        self.corrections[node] = reason

    def is_live(self, node: int) -> bool:
        """True if a goal can be reached from the node, which is not a goal itself."""
        return bool(distances(len(self.values), self.goals, self._reversed_links())[node])

    def meets_dead_end(self, steps: Sequence[StepTexts], start: int) -> bool:
        """True if one of the steps, from the node `start` on, equals that of a dead node."""
        found = (self._find(step, start) for step in steps)
        return any(
            not self.is_live(node) for node in found if node is not None and node not in self.goals
        )

    def build(self) -> ReasoningDag:
        """The DAG. Nodes are in the order of their distance from the start."""
        from_start = distances(len(self.values), [START], self.edges)
        to_goal = distances(len(self.values), self.goals, self._reversed_links())
        parents = Counter(target for _, target in self.edges)
        children = Counter(source for source, _ in self.edges)
        order = sorted(range(len(self.values)), key=lambda node: (from_start[node] or 0, node))
        index = {node: place for place, node in enumerate(order)}
        nodes = tuple(
            Node(
                state=(index[node], self.values[node], self.right[node], self.tried[node]),
                status=status_of(node in self.goals, to_goal[node]),
                in_degree=parents[node],
                out_degree=children[node],
                distance_start=from_start[node] or 0,
                distance_end=to_goal[node],
            )
            for node in order
        )
        edges = []
        for (source, target), step in self.edges.items():
            if to_goal[target] is None and not children[target]:
                reason = self.corrections.get(target, UNEXPLAINED)
                step = replace(step, verification=reason)
            edges.append(Edge(index[source], index[target], astuple(step)))
        edges.sort(key=attrgetter("source", "target"))
        return ReasoningDag(self.problem, nodes, tuple(edges))

    def _find(self, step: StepTexts, here: int) -> int | None:
        """The node of an equal step, none of those that lead to `here`."""
        value = value_of(step.summary)
        after = distances(len(self.values), [here], self._reversed_links())
        others = [
            node
            for node in range(1, len(self.values))
            if after[node] is None and self.values[node] == value
        ]
        if value or not others:
            return min(others, default=None)
        similar = _similarities(step.summary, [self.summaries[n] for n in others])
        alike = [
            (likeness, -node, node)
            for likeness, node in zip(similar, others, strict=True)
            if likeness >= ALIKE and _say_the_same(step.summary, self.summaries[node])
        ]
        return max(alike)[-1] if alike else None

    def _new_node(self, step: StepTexts) -> int:
        self.values.append(value_of(step.summary))
        self.summaries.append(step.summary)
        return len(self.values) - 1

    def _has_children(self, node: int) -> bool:
        return any(source == node for source, _ in self.edges)

    def _reversed_links(self) -> list[tuple[int, int]]:
        return [(target, source) for source, target in self.edges]


def _similarities(text: str, others: Sequence[str]) -> list[float]:
    """TF-IDF cosine of `text` with each of `others`."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics.pairwise import cosine_similarity

    try:
        vectors = TfidfVectorizer(token_pattern=_WORD, ngram_range=(1, 2))
        weights = vectors.fit_transform([text, *others])
    except ValueError:  # no word in any of them
        return [float(text == other) for other in others]
    return [float(value) for value in cosine_similarity(weights[0], weights[1:])[0]]


def _say_the_same(text: str, other: str) -> bool:
    """False if the words that occur once in both come in another order, such as in "Ann is older
    than Bob" and "Bob is older than Ann", or if one of them negates more often."""
    words, other_words = (re.findall(_WORD, each.casefold()) for each in (text, other))
    once = {word for word in words if words.count(word) == other_words.count(word) == 1}
    ordered, other_ordered = ([w for w in each if w in once] for each in (words, other_words))
    negations = (len(_NEGATION.findall(each)) for each in (text, other))
    return ordered == other_ordered and len(set(negations)) == 1
