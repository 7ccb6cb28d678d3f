"""Step rewards by a teacher's evidence, against hand arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from steiner.questions.reading import Question
from steiner.questions.task import problem_of
from steiner.rl.evidence_rewards import EvidenceScorer, StepValue, evidence_rewards
from steiner.rl.rewards import TERMS
from steiner.teacher.building import START, DagBuilder
from steiner.types import (
    Decision,
    ReasoningDag,
    Rollout,
    Status,
    Step,
    StepTexts,
    StopReason,
)


def _texts(summary: str) -> StepTexts:
    return StepTexts("do", "known", summary, "right")


@pytest.fixture
def dag() -> ReasoningDag:
    """3 -> 7 is right; 4 -> 8 is wrong, with three wrong continuations from 4."""
    builder = DagBuilder(problem_of(Question("How much?", "7"), "questions"))
    builder.add_chain([_texts("a = 3"), _texts("b = 7")], START, is_right=True)
    wrong = builder.add_chain([_texts("a = 4"), _texts("b = 8")], START, is_right=False)
    builder.add_evidence(wrong[0], [False, False, False])
    return builder.build()


class _LengthScorer:
    """A step is worth less the longer its summary is, and long ones are dead ends."""

    start = StepValue(1.0, 1.0, 1.0)

    def values(self, steps: Sequence[Step]) -> list[StepValue | None]:
        lengths = [len(step.texts.summary) for step in steps]
        return [StepValue(1 / n, 0, 1, is_dead=n > 9) if n else None for n in lengths]


def _rollout(*steps: tuple[str, Decision]) -> Rollout:
    walked = tuple(Step(_texts(summary), decision, 1) for summary, decision in steps)
    return Rollout((), (), (), StopReason.END, steps=walked)


def test_a_node_is_worth_its_evidence(dag: ReasoningDag) -> None:
    found = EvidenceScorer(dag).node_values
    values = {node.state[1]: value for node, value in zip(dag.nodes, found, strict=True)}
    assert values["7"].value == values["3"].value == 1
    assert values["4"].value == pytest.approx(1 / 5)  # (0 + 1) / (3 + 2)
    assert values["8"] == values["4"]  # no evidence of its own
    assert values["4"].low < 0.2 < values["4"].high
    assert values["4"].high == pytest.approx(1 - 0.025 ** (1 / 4))  # Beta(1, 4)


def test_a_wrong_turn_costs_what_turning_back_regains(dag: ReasoningDag) -> None:
    rollout = _rollout(
        ("a = 4", Decision.BACKTRACK), ("a = 3", Decision.PROCEED), ("b = 7", Decision.END)
    )
    rewards = evidence_rewards(EvidenceScorer(dag), rollout)
    assert [reward.choice for reward in rewards] == pytest.approx([1 / 5 - 1, 0, 0])
    assert [reward.decision for reward in rewards] == pytest.approx([1 - 1 / 5, 0, 0])


def test_going_on_from_a_dead_end_costs(dag: ReasoningDag) -> None:
    rollout = _rollout(("a = 4", Decision.PROCEED), ("b = 8", Decision.END))
    rewards = evidence_rewards(EvidenceScorer(dag), rollout)
    assert rewards[0].decision == -TERMS["persistence"]
    doubled = {**TERMS, "persistence": 2 * TERMS["persistence"]}
    weighted = evidence_rewards(EvidenceScorer(dag), rollout, doubled)
    assert weighted[0].decision == 2 * rewards[0].decision
    assert rewards[1].choice == 0


def test_unknown_steps_are_worth_nothing(dag: ReasoningDag) -> None:
    rollout = _rollout(("x = 99", Decision.PROCEED), ("b = 7", Decision.END))
    rewards = evidence_rewards(EvidenceScorer(dag), rollout)
    assert [reward.total for reward in rewards] == [0, 0]
    assert EvidenceScorer(dag).values(rollout.steps)[0] is None
    assert dag.nodes[0].status is Status.LIVE


def test_another_scorer_can_value_steps() -> None:
    rollout = _rollout(
        ("12345", Decision.PROCEED), ("1234567890", Decision.PROCEED), ("", Decision.END)
    )
    rewards = evidence_rewards(_LengthScorer(), rollout)
    assert [reward.choice for reward in rewards] == pytest.approx([1 / 5 - 1, 1 / 10 - 1 / 5, 0])
    assert [reward.decision for reward in rewards] == [0, -TERMS["persistence"], 0]
