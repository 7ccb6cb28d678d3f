"""Step rewards and advantages against hand arithmetic, and every term against who would game it."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steiner.dags.path_sampling import shortest_path
from steiner.dags.solver import build_dag
from steiner.dags.tracing import Trace, TracedStep, Tracer
from steiner.randomness import random_stream
from steiner.rl import rewards
from steiner.rl.rewards import (
    MALFORMED,
    RIGHT_HIGH,
    RIGHT_LOW,
    STEP_LIMIT,
    TERMS,
    WRONG,
    Score,
    StepReward,
    best_step_total,
    register_term,
    score,
    step_advantages,
    step_rewards,
    term_weights,
)
from steiner.tasks import generate_problems, make_problem
from steiner.types import (
    Decision,
    Node,
    ReasoningDag,
    Rollout,
    Split,
    Status,
    StopReason,
    UserError,
    Verdict,
)
from tests.puzzles import PUZZLES, puzzle

# 0 --> 1 --> 5 goal      1 is reached from 0 and, the long way round, from 6
# 0 --> 6 --> 1
# 0 --> 3 --> 4           3 and 4 are dead; 4 offers nothing more
# 1 --> 3
START, NEAR, DEAD, DEAD_LEAF, GOAL, ROUNDABOUT = range(6)
NODES = (
    # state, status, e_i, e_o, d_s, d_e
    Node((0,), Status.LIVE, 0, 3, 0, 2),
    Node((1,), Status.LIVE, 2, 2, 1, 1),
    Node((2,), Status.DEAD, 2, 1, 1, None),
    Node((3,), Status.DEAD, 1, 0, 2, None),
    Node((4,), Status.GOAL, 1, 0, 2, 0),
    Node((5,), Status.LIVE, 1, 1, 1, 2),
)
DAG = ReasoningDag(
    make_problem("jugs", {"capacities": [3, 5], "target": 4, "max_moves": 6}), NODES, ()
)

# Phi with the default weights, D = 2:
PHI = {
    START: 0.0,  # 1.0 * (1 - 2/2) - 0.2 * (1 - 2/2) + 0.1 * (1 - 1/1)
    NEAR: 0.55,  # 1.0 * (1 - 1/2) - 0.2 * (1 - 2/2) + 0.1 * (1 - 1/2)
    DEAD: -0.4,  # -0.3 - 0.2 * 1/2
    DEAD_LEAF: -0.3,  # -0.3 - 0.2 * 0/1
    GOAL: 1.1,  # 1.0 * (1 - 0/2) - 0.2 * (1 - 2/2) + 0.1 * 1
    ROUNDABOUT: -0.2 / 3,  # 1.0 * (1 - 2/2) - 0.2 * (1 - 2/3) + 0.1 * (1 - 1/1)
}


def step(parent: int | None, node: int | None, decision: Decision, **faults: object) -> TracedStep:
    """A step without fault, but for those given."""
    clean = TracedStep(
        depth=1,
        parent=parent,
        node=node,
        status=None if node is None else NODES[node].status,
        legal=node is not None,
        sound=node is not None,
        repeated=False,
        verdict=Verdict.OPEN,
        verdict_true=node is not None,
        decision=decision,
    )
    return replace(clean, **faults)  # type: ignore[arg-type]


def rollout(*, well_formed: bool = True, tokens: int = 10) -> Rollout:
    return Rollout((1,), (2,) * tokens, (0.0,) * tokens, StopReason.END, well_formed=well_formed)


def total(*steps: TracedStep) -> float:
    return sum(reward.total for reward in step_rewards(steps, DAG, TERMS))


PROCEED, BACKTRACK, END = Decision.PROCEED, Decision.BACKTRACK, Decision.END
STRAIGHT = (step(START, NEAR, PROCEED), step(NEAR, GOAL, END))


def test_potential_of_each_node() -> None:
    for node, phi in PHI.items():
        (reward,) = step_rewards([step(START, node, BACKTRACK)], DAG, TERMS)
        assert reward.choice == pytest.approx(phi)


def test_walk_with_a_backtrack_by_hand() -> None:
    walk = (step(START, DEAD, BACKTRACK), *STRAIGHT)
    rewards = step_rewards(walk, DAG, TERMS)
    # into the dead end: -0.4 - 0; back out of it: 0 - -0.4
    # on to NEAR: 0.55 - 0; proceeding leaves Phi as it is: 0
    # to the goal: 1.1 - 0.55; ending there costs nothing
    assert [r.choice for r in rewards] == pytest.approx([-0.4, 0.55, 0.55])
    assert [r.decision for r in rewards] == pytest.approx([0.4, 0.0, 0.0])
    assert rewards[0].choice_terms == pytest.approx({"dead_end": -0.3, "lure": -0.1})
    assert total(*walk) == pytest.approx(PHI[GOAL] - PHI[START])


def test_backtracking_from_a_live_node_costs_what_it_gives_up() -> None:
    rewards = step_rewards((step(START, NEAR, BACKTRACK), step(START, DEAD, END)), DAG, TERMS)
    assert rewards[0].decision == pytest.approx(PHI[START] - PHI[NEAR])


@pytest.mark.parametrize(
    ("faulty", "term"),
    [
        (step(START, None, PROCEED), "illegal"),
        (step(START, None, PROCEED, legal=True), "unsound"),
        (step(START, NEAR, PROCEED, sound=False), "unsound"),
        (step(START, NEAR, PROCEED, repeated=True), "repeated"),
        (step(START, NEAR, PROCEED, verdict_true=False), "false_verdict"),
        (step(START, DEAD, PROCEED), "persistence"),
        (step(START, GOAL, PROCEED), "persistence"),
        (step(START, NEAR, END), "early_end"),
        (step(START, DEAD, END), "early_end"),
    ],
)
def test_each_fault_costs_its_weight(faulty: TracedStep, term: str) -> None:
    (reward,) = step_rewards([faulty], DAG, TERMS)
    terms = {**reward.choice_terms, **reward.fault_terms, **reward.decision_terms}
    assert terms[term] == -TERMS[term]


def test_an_end_that_the_budget_forced_is_no_fault() -> None:
    (reward,) = step_rewards([step(START, NEAR, END)], DAG, TERMS, forced_end=True)
    assert reward.decision == 0


@pytest.mark.parametrize(
    "cheat",
    {
        "dead ends, each left properly": (step(START, DEAD, BACKTRACK),) * 9,
        "deeper into a dead end": (
            step(START, DEAD, PROCEED),
            step(DEAD, DEAD_LEAF, BACKTRACK),
        ),
        "from open node to open node": (
            step(START, NEAR, BACKTRACK),
            step(START, ROUNDABOUT, BACKTRACK),
        )
        * 5,
        "round the loop": (
            step(START, ROUNDABOUT, PROCEED),
            step(ROUNDABOUT, NEAR, BACKTRACK),
        )
        * 5,
        "to and fro over the goal": (*STRAIGHT[:1], step(NEAR, GOAL, BACKTRACK)) * 5,
        "off the graph and back": (step(START, None, BACKTRACK),) * 5,
        "one step again and again": (step(START, NEAR, BACKTRACK, repeated=True),) * 5,
    }.items(),
    ids=lambda cheat: cheat[0],
)
def test_no_detour_earns_anything(cheat: tuple[str, tuple[TracedStep, ...]]) -> None:
    assert total(*cheat[1], *STRAIGHT) <= total(*STRAIGHT) + 1e-9
    assert total(*cheat[1], *cheat[1]) <= total(*cheat[1]) + 1e-9


@pytest.mark.parametrize(
    "cheat",
    {
        "calls an open node a goal": (step(START, NEAR, END, verdict_true=False),),
        "steps without saying where to": (step(START, None, PROCEED),) * 30,
        "states a false sum": (step(START, NEAR, PROCEED, sound=False), STRAIGHT[1]),
        "continues after the goal": (
            STRAIGHT[0],
            step(NEAR, GOAL, PROCEED),
            step(GOAL, None, END),
        ),
    }.items(),
    ids=lambda cheat: cheat[0],
)
def test_no_shortcut_beats_the_honest_way(cheat: tuple[str, tuple[TracedStep, ...]]) -> None:
    assert total(*cheat[1]) < total(*STRAIGHT)


nodes = st.none() | st.integers(0, len(NODES) - 1)
steps = st.builds(
    step,
    nodes,
    nodes,
    st.sampled_from(Decision),
    legal=st.booleans(),
    sound=st.booleans(),
    repeated=st.booleans(),
    verdict_true=st.booleans(),
)
walks = st.lists(steps, max_size=30).map(tuple)
weights = st.fixed_dictionaries({term: st.floats(0, 10) for term in TERMS})


@given(walks, weights, st.booleans())
def test_no_walk_exceeds_the_bound(
    walk: tuple[TracedStep, ...], weight: dict[str, float], forced: bool
) -> None:
    rewards = step_rewards(walk, DAG, weight, forced_end=forced)
    assert sum(reward.total for reward in rewards) <= best_step_total(weight) + 1e-6


@given(walks, weights, st.sampled_from(sorted(set(TERMS) - {"brevity"})))
def test_a_term_of_weight_0_is_left_out(
    walk: tuple[TracedStep, ...], weight: dict[str, float], term: str
) -> None:
    judged = score(rollout(), Trace(walk), DAG, {**weight, term: 0.0}, right=True, max_tokens=99)
    assert judged.term_totals()[term] == 0


def any_score(right: bool, well_formed: bool) -> st.SearchStrategy[Score]:
    return st.builds(
        lambda walk, weight, tokens: score(
            rollout(well_formed=well_formed, tokens=tokens),
            Trace(walk),
            DAG,
            weight,
            right=right,
            max_tokens=100,
        ),
        walks,
        weights,
        st.integers(0, 300),
    )


@given(any_score(True, True), any_score(False, True), any_score(True, False))
def test_malformed_below_wrong_below_right(right: Score, wrong: Score, malformed: Score) -> None:
    assert RIGHT_LOW <= right.outcome <= RIGHT_HIGH
    assert wrong.outcome == WRONG < RIGHT_LOW
    assert malformed.outcome == MALFORMED < WRONG
    assert not malformed.right  # a right answer in a broken format is none


def test_brevity_counts_among_right_answers_only() -> None:
    def outcome(tokens: int, right: bool) -> float:
        given_tokens = rollout(tokens=tokens)
        return score(given_tokens, Trace(()), DAG, TERMS, right=right, max_tokens=100).outcome

    # 1 - 0.5 * 0.4 * 50/100
    assert outcome(50, True) == pytest.approx(0.9)
    assert outcome(10, True) > outcome(90, True)
    assert outcome(10, False) == outcome(90, False)


def test_unknown_term_names_the_nearest() -> None:
    assert term_weights({"lure": 0.0}) == {**TERMS, "lure": 0.0}
    with pytest.raises(UserError, match="unknown reward term 'lores'") as caught:
        term_weights({"lores": 1.0})
    assert caught.value.hint == "did you mean 'lure'?"


def of(outcome: float, *steps: tuple[float, float], fault: float = 0.0) -> Score:
    """A score whose steps earned these (choice, decision) rewards, each with that fault."""
    rewards = tuple(
        StepReward({"closeness": choice}, {"unsound": fault}, {"closeness": decision})
        for choice, decision in steps
    )
    return Score(outcome, outcome > 0, rewards)


def test_step_advantages_by_hand() -> None:
    group = [of(1.0, (0.5, 0.0), (0.5, 0.0)), of(-0.5, (-0.6, 0.6), (0.4, -0.3))]
    # choices: mean (0.5 + 0.5 - 0.6 + 0.4) / 4 = 0.2;  decisions: mean (0.6 - 0.3) / 4 = 0.075
    # less the mean: 0.3, 0.3, -0.8, 0.2 and -0.075, -0.075, 0.525, -0.375; the largest is 0.8
    unit = STEP_LIMIT / 0.8
    expected = [
        [(0.3, -0.075), (0.3, -0.075)],
        [(-0.8, 0.525), (0.2, -0.375)],
    ]
    for row, wanted in zip(step_advantages(group), expected, strict=True):
        for found, (choice, decision) in zip(row, wanted, strict=True):
            assert found.choice == pytest.approx(choice * unit)
            assert found.decision == pytest.approx(decision * unit)


def test_a_group_that_fails_as_a_whole_does_not_pay_for_idling() -> None:
    ((idle,), (bad,)) = step_advantages([of(-0.5, (0.0, 0.0)), of(-0.5, (-1.0, -0.1))])
    assert (idle.choice, idle.decision) == (0.0, 0.0)  # not 0 - (-0.5)
    assert bad.choice == pytest.approx(-STEP_LIMIT)  # -1 - (-0.5), in units of 0.5


def test_a_group_whose_steps_are_all_as_bad_is_left_alone() -> None:
    group = [of(-0.5, (-0.5, -0.1)), of(-0.5, (-0.5, -0.1))]
    assert {(a.choice, a.decision) for row in step_advantages(group) for a in row} == {(0.0, 0.0)}


def test_small_differences_are_not_blown_up() -> None:
    ((better,), (worse,)) = step_advantages([of(1.0, (0.1, 0.0)), of(1.0, (0.0, 0.0))])
    # (0.1 - 0.05) * 0.45 / 0.5, the floor of the scale
    assert better.choice == pytest.approx(0.045)
    assert worse.choice == pytest.approx(-0.045)


def test_a_fault_costs_the_same_whatever_the_others_do() -> None:
    faulty, clean = of(-0.5, (0.0, 0.0), fault=-0.5), of(-0.5, (0.0, 0.0))
    for other in (faulty, clean):
        ((found,), _) = step_advantages([faulty, other])
        assert found.fault == pytest.approx(-STEP_LIMIT)
    ((found,),) = step_advantages([of(-0.5, (-0.3, 0.0), fault=-0.2)])
    assert (found.choice, found.fault) == pytest.approx((0.0, -0.2 * STEP_LIMIT / 0.5))


@given(st.lists(any_score(True, True) | any_score(False, True), min_size=2, max_size=6))
def test_steps_never_lift_a_wrong_rollout_over_a_right_one(group: list[Score]) -> None:
    lowest_right, highest_wrong = [], []
    for judged, row in zip(group, step_advantages(group), strict=True):
        for found, earned in zip(row, judged.steps, strict=True):
            assert found.fault <= 0
            assert found.choice <= 0 or earned.choice > 0
            assert found.decision <= 0 or earned.decision > 0
            assert found.largest <= STEP_LIMIT + 1e-9
        # At weight 1, whatever share of its tokens each step has; the group's mean cancels out:
        most = max((found.largest for found in row), default=0.0)
        if judged.right:
            lowest_right.append(judged.outcome - most)
        else:
            highest_wrong.append(judged.outcome + most)
    if lowest_right and highest_wrong:
        assert min(lowest_right) > max(highest_wrong)


@pytest.mark.parametrize("name", PUZZLES)
def test_the_solver_earns_all_there_is(name: str) -> None:
    level = puzzle(name).levels[0]
    for problem in islice(generate_problems(name, level, seed=1, split=Split.TRAIN), 5):
        dag = build_dag(problem)
        path = shortest_path(dag, random_stream("test", problem.key))
        tracer = Tracer(dag)
        honest = score(rollout(), tracer.trace(path.steps), dag, TERMS, right=True, max_tokens=1024)
        assert honest.step_total == pytest.approx(best_step_total(TERMS))
        cut_short = score(
            rollout(), tracer.trace(path.steps[:-1]), dag, TERMS, right=False, max_tokens=1024
        )
        assert cut_short.step_total < honest.step_total
        doubled = score(
            rollout(),
            tracer.trace((path.steps[0], *path.steps)),
            dag,
            TERMS,
            right=True,
            max_tokens=1024,
        )
        assert doubled.step_total < honest.step_total


def test_a_term_of_ones_own_is_charged_logged_and_weighted() -> None:
    register_term("jump", 0.5, lambda step: step.decision is BACKTRACK, of="decision")
    register_term("jump", 0.25, lambda step: step.decision is BACKTRACK, of="fault")  # replaces it
    try:
        walk = [step(START, NEAR, BACKTRACK)]
        (reward,) = step_rewards(walk, DAG, term_weights({}))
        assert reward.fault_terms == {"jump": -0.25}
        assert "jump" not in reward.decision_terms
        assert Score(0.0, False, (reward,)).term_totals()["jump"] == -0.25
        (reward,) = step_rewards(walk, DAG, term_weights({"jump": 0.75}))
        assert reward.fault == -0.75
    finally:
        del rewards._WEIGHTS["jump"], rewards._ADDED["fault"]["jump"]
    with pytest.raises(UserError, match="'lure' is a built-in reward term"):
        register_term("lure", 1.0, lambda step: True)
