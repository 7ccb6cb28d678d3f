"""Step rewards from a teacher's evidence, for tasks without exact DAGs.

(Rollout, ReasoningDag of a teacher) -> StepRewards

A step reaches the node with the same computed value, if the DAG has one. A node's value is the
share of continuations from it that reached the answer, with one right and one wrong added, so that
few continuations move it little: (right + 1) / (tried + 2), the mean of its Beta distribution. Live
nodes without evidence are on a right solution and count as goals do, 1; dead ones without evidence
are worth what the step before them is. A step is worth the difference that it makes, as in
rl/rewards.py; a step that the DAG does not know is worth 0, whatever follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from steiner.rl.rewards import TERMS, StepReward
from steiner.teacher.steps import value_of
from steiner.types import Decision, Node, ReasoningDag, Rollout, Status, Step


@dataclass(frozen=True, slots=True)
class StepValue:
    """An estimate of the chance to reach the answer from a step, with a 95 % interval."""

    value: float
    low: float
    high: float
    is_dead: bool = False
    """No continuation from the step reaches the answer."""


class StepScorer(Protocol):
    """Values steps in their context."""

    @property
    def start(self) -> StepValue:
        """The value before the first step."""

    def values(self, steps: Sequence[Step]) -> list[StepValue | None]:
        """The value of each step of one walk; None for a step that it does not know."""


class EvidenceScorer:
    """Values steps by the evidence of a teacher's DAG."""

    def __init__(self, dag: ReasoningDag) -> None:
        self.dag = dag
        self._children: dict[int, set[int]] = {}
        parents: dict[int, list[int]] = {}
        for edge in dag.edges:
            self._children.setdefault(edge.source, set()).add(edge.target)
            parents.setdefault(edge.target, []).append(edge.source)
        self.node_values: list[StepValue] = []
        for index, node in enumerate(dag.nodes):  # a node comes after one that leads to it
            before = [self.node_values[p] for p in parents.get(index, ()) if p < index]
            self.node_values.append(_node_value(node, before))

    @property
    def start(self) -> StepValue:
        """The value of the question."""
        return self.node_values[0]

    def values(self, steps: Sequence[Step]) -> list[StepValue | None]:
        """As `StepScorer.values`; a node that follows from the last one is preferred."""
        return [None if node is None else self.node_values[node] for node in self.nodes(steps)]

    def nodes(self, steps: Sequence[Step]) -> list[int | None]:
        """The node that each step reaches; None if the DAG has none of that value."""
        here, found = 0, []
        for step in steps:
            value = value_of(step.texts.summary)
            same = [n for n, node in enumerate(self.dag.nodes) if n and node.state[1] == value]
            following = [n for n in same if n in self._children.get(here, ())]
            node = next(iter([*following, *same]), None) if value else None
            found.append(node)
            here = here if node is None else node
        return found


def _node_value(node: Node, before: Sequence[StepValue]) -> StepValue:
    """The value of a teacher's node; `before` has the values of nodes that lead to it."""
    _, _, right, tried = node.state
    if node.status is Status.GOAL or (node.status is Status.LIVE and not tried):
        return StepValue(1.0, 1.0, 1.0)
    is_dead = node.status is Status.DEAD
    if not tried and before:
        return replace(min(before, key=lambda value: value.value), is_dead=is_dead)
    from scipy.stats import beta

    low, high = beta.ppf((0.025, 0.975), right + 1, tried - right + 1)
    return StepValue((right + 1) / (tried + 2), float(low), float(high), is_dead)


def evidence_rewards(
    scorer: StepScorer, rollout: Rollout, weights: Mapping[str, float] = TERMS
) -> tuple[StepReward, ...]:
    """The reward of each step: the difference in value that it makes, and a penalty for continuing
    from a dead end, the term `persistence` of `weights`."""
    rewards: list[StepReward] = []
    before = scorer.start.value
    live = before
    """Value of the last node that is not dead: where a walk that turns back stands again."""
    for step, found in zip(rollout.steps, scorer.values(rollout.steps), strict=True):
        if found is None:
            rewards.append(StepReward({}, {}, {}))
            continue
        reached, is_dead = found.value, found.is_dead
        persists = is_dead and step.decision is Decision.PROCEED
        turns_back = is_dead and step.decision is Decision.BACKTRACK
        decision = {"persistence": -weights["persistence"]} if persists else {}
        if turns_back:
            decision = {"closeness": live - reached}
        rewards.append(StepReward({"closeness": reached - before}, {}, decision))
        live = live if is_dead else reached
        before = live if turns_back else reached
    return tuple(rewards)
