"""Rewards of a rollout: its outcome and each of its steps.

(Rollout, Trace, ReasoningDag) -> Score;  Scores of one problem -> StepAdvantages of G rollouts

Steiner weighs a step by its node's in-degree e_i, out-degree e_o, distance from the question d_s
and to the answer d_e; its formula is not published. Here the four make a potential Phi, a move
earns the difference that it makes (Ng, Harada and Russell, 1999), and all else is a cost. Which
tokens get it is in credit_assignment.py, the reasons are in docs/reward.md. Steps of own questions
get theirs in evidence_rewards.py. With D = d_e of the question:

    Phi(live or goal) = closeness * (1 - d_e / D) - detour * (1 - D / (d_s + d_e))
                        + landmark * (1 - 1 / e_i, or 1 at a goal)
    Phi(dead)         = -dead_end - lure * e_o / (1 + e_o);  off the graph: -dead_end
    choice_s          = Phi(reached_s) - Phi(left_s) - repeated
    fault_s           = - illegal - misread - unsound - false_verdict
    decision_s        = Phi(left_s+1) - Phi(reached_s) - persistence - early_end

A walk sums to Phi(end) - Phi(question) less its costs: padding, loops and ping-pong earn nothing.
Outcomes lie in three bands that do not touch, malformed < wrong < right, whatever the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal

from steiner.dags.tracing import Trace, TracedStep
from steiner.types import Decision, Node, ReasoningDag, Rollout, Status, UserError

_WEIGHTS = {
    "closeness": 1.0,  # d_e: nearer to the goal is better
    "detour": 0.2,  # d_s: longer than the shortest way through here
    "landmark": 0.1,  # e_i: many routes lead here
    "dead_end": 0.3,  # no goal can be reached any more
    "lure": 0.2,  # e_o: a dead end that still offers much to waste steps on
    "illegal": 0.5,  # no legal move from where the step claims to stand
    "misread": 0.5,  # the first step restates another question
    "unsound": 0.5,  # a legal move, with a false statement of what it leads to
    "repeated": 0.3,  # to a state where the walk has been before
    "false_verdict": 0.3,  # the verification contradicts what can be seen
    "persistence": 0.1,  # proceeding where nothing lies ahead: dead, off the graph, or a goal
    "early_end": 0.3,  # ending elsewhere than at a goal, although steps were left
    "brevity": 0.4,  # tokens, among right answers only
}
TERMS: Mapping[str, float] = MappingProxyType(_WEIGHTS)
"""Default weight of every named term. A weight of 0 leaves the term out."""

Condition = Callable[[TracedStep], bool]

_BUILT_IN = frozenset(_WEIGHTS)
_ADDED: dict[str, dict[str, Condition]] = {"fault": {}, "decision": {}}

MALFORMED, WRONG = -1.0, -0.5
RIGHT_LOW, RIGHT_HIGH = 0.5, 1.0
"""Outcomes. Any right answer is at least 1 above any wrong one."""

STEP_LIMIT = 0.45
"""Largest step advantage at step_reward_weight 1: under half of the least gap from wrong to right,
so that a right rollout's mean advantage stays above a wrong one's."""

STEP_SCALE_FLOOR = 0.5
"""Groups whose steps hardly differ are not blown up beyond this unit (1 = the whole way)."""

_POTENTIAL = ("closeness", "detour", "landmark", "dead_end", "lure")


@dataclass(frozen=True, slots=True)
class StepReward:
    """A step's rewards by term, with weights applied: for its choice, its faults and its
    decision."""

    choice_terms: Mapping[str, float]
    fault_terms: Mapping[str, float]
    decision_terms: Mapping[str, float]

    @property
    def choice(self) -> float:
        """Reward of the move it takes."""
        return sum(self.choice_terms.values())

    @property
    def fault(self) -> float:
        """Reward of how it is written: 0 if everything is right, else negative."""
        return sum(self.fault_terms.values())

    @property
    def decision(self) -> float:
        """Reward of the decision token."""
        return sum(self.decision_terms.values())

    @property
    def total(self) -> float:
        """Sum of all its rewards."""
        return self.choice + self.fault + self.decision


@dataclass(frozen=True, slots=True)
class Score:
    """The outcome and step rewards of a rollout."""

    outcome: float
    right: bool
    steps: tuple[StepReward, ...]

    @property
    def step_total(self) -> float:
        """Sum of its step rewards; at most `best_step_total`."""
        return sum(step.total for step in self.steps)

    def term_totals(self) -> dict[str, float]:
        """Sum of each step term over the rollout; 0 if it never occurred."""
        totals = {term: 0.0 for term in TERMS if term != "brevity"}
        for step in self.steps:
            for terms in (step.choice_terms, step.fault_terms, step.decision_terms):
                for term, value in terms.items():
                    totals[term] += value
        return totals


def term_weights(overrides: Mapping[str, float]) -> dict[str, float]:
    """All weights, defaults replaced by `overrides`. Raises UserError for an unknown term."""
    for term in overrides:
        if term not in TERMS:
            near = get_close_matches(term, TERMS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"one of: {', '.join(TERMS)}"
            raise UserError(f"unknown reward term '{term}' in rl.term_weights", hint)
    return {**TERMS, **overrides}


def register_term(
    name: str,
    weight: float,
    condition: Condition,
    *,
    of: Literal["fault", "decision"] = "fault",
) -> None:
    """Adds a cost of `weight` for each step for which `condition` holds.

    of: "fault" for a mistake in what the step says, "decision" for its decision token. A name that
    was added before is replaced. Raises UserError for the name of a built-in term.
    """
    if name in _BUILT_IN:
        raise UserError(f"'{name}' is a built-in reward term", "give the new term another name")
    for added in _ADDED.values():
        added.pop(name, None)
    _WEIGHTS[name], _ADDED[of][name] = weight, condition


def score(
    rollout: Rollout,
    trace: Trace,
    dag: ReasoningDag,
    weights: Mapping[str, float],
    *,
    right: bool,
    max_tokens: int,
    forced_end: bool = False,
) -> Score:
    """Outcome and step rewards of a rollout.

    right: its answer passes the checker. forced_end: its last step had no choice but to end.
    """
    scored = outcome_score(rollout, weights, right=right, max_tokens=max_tokens)
    return replace(scored, steps=step_rewards(trace.steps, dag, weights, forced_end=forced_end))


def outcome_score(
    rollout: Rollout, weights: Mapping[str, float], *, right: bool, max_tokens: int
) -> Score:
    """The outcome of a rollout, without step rewards.

    The format is a condition, not a bonus: a malformed rollout is never right.
    """
    if not rollout.well_formed:
        return Score(MALFORMED, False, ())
    if not right:
        return Score(WRONG, False, ())
    cost = min(1.0, weights["brevity"] * min(1.0, len(rollout.token_ids) / max_tokens))
    return Score(RIGHT_HIGH - (RIGHT_HIGH - RIGHT_LOW) * cost, True, ())


def step_rewards(
    steps: Sequence[TracedStep],
    dag: ReasoningDag,
    weights: Mapping[str, float],
    *,
    forced_end: bool = False,
) -> tuple[StepReward, ...]:
    """Rewards of a walk's steps, each potential term and each cost by name."""
    phi = _Potentials(dag, weights)
    rewards, here = [], phi.of(0)
    for index, step in enumerate(steps):
        reached = phi.of(step.node)
        following = steps[index + 1].parent if index + 1 < len(steps) else None
        jumps = step.decision is Decision.BACKTRACK and following is not None
        after = phi.of(following) if jumps else reached
        last_forced = forced_end and index == len(steps) - 1
        rewards.append(
            StepReward(
                {**_difference(reached, here), **_costs({"repeated": step.repeated}, weights)},
                _costs(_faults(step), weights),
                {
                    **_difference(after, reached),
                    **_costs(_misdecided(step, forced=last_forced), weights),
                },
            )
        )
        here = after
    return tuple(rewards)


def best_step_total(weights: Mapping[str, float]) -> float:
    """Upper bound of any walk's step rewards: Phi of a goal minus Phi of the question."""
    return weights["closeness"] + weights["landmark"]


class _Potentials:
    """Phi of the nodes of one DAG, by term."""

    def __init__(self, dag: ReasoningDag, weights: Mapping[str, float]) -> None:
        self.dag, self.weights = dag, weights
        self.shortest = max(1, dag.nodes[0].distance_end or 0)

    def of(self, node: int | None) -> dict[str, float]:
        """Phi of a node; of a state off the graph where it is None."""
        terms = {"dead_end": -1.0} if node is None else self._terms(self.dag.nodes[node])
        return {term: value * self.weights[term] for term, value in terms.items()}

    def _terms(self, node: Node) -> dict[str, float]:
        if node.distance_end is None:
            return {"dead_end": -1.0, "lure": -node.out_degree / (1 + node.out_degree)}
        is_goal = node.status is Status.GOAL
        length = max(self.shortest, node.distance_start + node.distance_end)
        return {
            "closeness": max(-1.0, 1 - node.distance_end / self.shortest),
            "detour": self.shortest / length - 1,
            "landmark": 1.0 if is_goal else 1 - 1 / max(1, node.in_degree),
        }


def _difference(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    gains = {term: after.get(term, 0.0) - before.get(term, 0.0) for term in _POTENTIAL}
    return {term: gain for term, gain in gains.items() if gain}


def _faults(step: TracedStep) -> dict[str, bool]:
    return {
        "illegal": not step.legal,
        "misread": step.depth == 0 and step.legal and not step.sound,
        "unsound": step.depth != 0 and step.legal and not step.sound,
        "false_verdict": step.legal and not step.verdict_true,
        **_added("fault", step),
    }


def _misdecided(step: TracedStep, *, forced: bool) -> dict[str, bool]:
    proceeds, ends = step.decision is Decision.PROCEED, step.decision is Decision.END
    return {
        "persistence": proceeds and step.status is not Status.LIVE,
        "early_end": ends and step.status is not Status.GOAL and not forced,
        **_added("decision", step),
    }


def _added(kind: str, step: TracedStep) -> dict[str, bool]:
    return {name: condition(step) for name, condition in _ADDED[kind].items()}


def _costs(present: Mapping[str, bool], weights: Mapping[str, float]) -> dict[str, float]:
    return {term: -weights[term] for term, is_present in present.items() if is_present}


@dataclass(frozen=True, slots=True)
class StepAdvantage:
    """The advantage of what a step chose, of what is wrong in it, and of its decision."""

    choice: float
    fault: float
    decision: float

    @property
    def largest(self) -> float:
        """A bound for what its tokens get on average."""
        return max(abs(self.choice) + abs(self.fault), abs(self.decision))

    def scaled(self, factor: float) -> StepAdvantage:
        """In another unit."""
        return StepAdvantage(factor * self.choice, factor * self.fault, factor * self.decision)


def step_advantages(scores_G: Sequence[Score]) -> list[list[StepAdvantage]]:
    """Advantages of every step of a group's rollouts, none `largest` above STEP_LIMIT.

    Phi is an exact critic, so a step's reward is its one-step advantage already. A choice is
    compared with the mean of all choices in the group, a decision with that of all decisions, but
    neither ever counts for more than it is: among failures, a step that merely does nothing is not
    rewarded. A fault is one whatever the others do.
    """
    steps = [step for score in scores_G for step in score.steps]
    choice_mean = _mean(step.choice for step in steps)
    decision_mean = _mean(step.decision for step in steps)
    raw = [
        [
            StepAdvantage(
                _compared(step.choice, choice_mean),
                step.fault,
                _compared(step.decision, decision_mean),
            )
            for step in score.steps
        ]
        for score in scores_G
    ]
    largest = max((step.largest for row in raw for step in row), default=0.0)
    scale = STEP_LIMIT / max(STEP_SCALE_FLOOR, largest)
    return [[step.scaled(scale) for step in row] for row in raw]


def _compared(reward: float, mean: float) -> float:
    """reward - mean, but at most what was earned, and nothing where nothing was."""
    return min(reward - mean, max(0.0, reward))


def _mean(rewards: Iterable[float]) -> float:
    values = list(rewards)
    return sum(values) / len(values) if values else 0.0
