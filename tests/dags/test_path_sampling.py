"""Sampled walks: never in circles, back only to what is still open, and as the knobs say."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from steiner.dags.path_sampling import Walk, path_without_search, shortest_path
from steiner.dags.solver import build_dag
from steiner.randomness import random_stream
from steiner.tasks import make_problem, task
from steiner.tasks.no_answer import NoAnswer, no_answer
from steiner.tasks.protocols import UnanswerableGenerator
from steiner.types import Decision, ReasoningDag, SearchPath, Status, Step, UserError
from tests.puzzles import PUZZLES as NAMES
from tests.puzzles import is_right, reading_step, walks_through

ANY = Walk(explore=0.6, turn_back=0.3, cut=0.3, max_steps=12, in_order=True)
DagsOf = Callable[[str], tuple[ReasoningDag, ...]]


def sampled(dags: tuple[ReasoningDag, ...], walk: Walk, count: int = 25) -> list[tuple]:  # type: ignore[type-arg]
    """(DAG, SearchPath) of many walks, without the step that reads the question."""
    paths = with_readings(dags, walk, count)
    return [(dag, replace(p, steps=p.steps[1:])) for dag, p in paths if len(p.steps) > 1]


def with_readings(
    dags: tuple[ReasoningDag, ...], walk: Walk, count: int = 25
) -> list[tuple[ReasoningDag, SearchPath]]:
    """(DAG, SearchPath) of many walks."""
    rng = random_stream("test paths", walk)
    return [(dag, path) for dag in dags for path in walks_through(dag, count, walk, rng)]


@dataclass(frozen=True)
class Moment:
    """A walk just after one of its steps."""

    step: Step
    branch: list[int]
    """Nodes from the start to the one that the step reached."""
    parent: int
    open_depths: list[int]
    """Depths of the branch whose node still leads to a state not yet seen, and was not left by a
    certain move: where that fails, the node itself does."""


def replay(dag: ReasoningDag, path: SearchPath) -> Iterator[Moment]:
    """Follows a walk by its nodes and depths alone."""
    following: dict[int, set[int]] = {index: set() for index in range(len(dag.nodes))}
    for edge in dag.edges:
        following[edge.source].add(edge.target)
    certain = {(edge.source, edge.target) for edge in dag.edges if edge.certain}
    branch, seen = [0], {0}
    for step in path.steps:
        assert step.node is not None
        parent = branch[step.depth - 1]
        assert step.node in following[parent]
        branch = [*branch[: step.depth], step.node]
        seen.add(step.node)
        taken = [*pairwise(branch), None]
        open_depths = [
            depth
            for depth, node in enumerate(branch)
            if following[node] - seen and taken[depth] not in certain
        ]
        yield Moment(step, branch, parent, open_depths)


# ---------------------------------------------------------------------- every walk


@pytest.mark.parametrize("name", NAMES)
def test_each_walk_begins_by_reading_the_question(name: str, dags_of: DagsOf) -> None:
    for dag, path in with_readings(dags_of(name), ANY):
        expected = reading_step(dag.problem)
        assert replace(path.steps[0], decision=Decision.PROCEED) == expected
        assert path.steps[0].decision is (
            Decision.END if len(path.steps) == 1 else Decision.PROCEED
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_search_without_a_solution_tries_everything_and_says_so(name: str) -> None:
    rng = random_stream("no solution", name)
    generator = task(name).generator
    assert isinstance(generator, UnanswerableGenerator)
    num_walks = 0
    while num_walks < 10:
        spec = generator.unanswerable(rng, 1)
        problem = make_problem(name, spec)
        if no_answer(spec) is NoAnswer.MISSING:
            path = path_without_search(problem)
            assert [step.decision for step in path.steps] == [Decision.END]
            assert is_right(problem, path.answer)
            continue
        dag = build_dag(problem)
        assert {node.status for node in dag.nodes} == {Status.DEAD}
        for path in walks_through(dag, 3, Walk(explore=0.6, cut=0.5), rng):
            num_walks += 1
            assert path.steps[-1].decision is Decision.END
            assert path.answer == "There is no solution."
            assert not path.truncated
            assert len({step.node for step in path.steps}) == len(path.steps)
            if name == "countdown":  # where no move is certain, every state has been seen
                assert len(path.steps) == len(dag.nodes)


@pytest.mark.parametrize("name", NAMES)
def test_no_state_is_gone_to_twice(name: str, dags_of: DagsOf) -> None:
    for _, path in sampled(dags_of(name), ANY):
        nodes = [0, *(step.node for step in path.steps)]
        assert len(set(nodes)) == len(nodes)


@pytest.mark.parametrize("name", NAMES)
def test_walk_goes_on_deeper_or_back_to_what_is_open(name: str, dags_of: DagsOf) -> None:
    backtracks = 0
    for dag, path in sampled(dags_of(name), ANY):
        before: Moment | None = None
        for now in replay(dag, path):
            if before is None:
                assert now.step.depth == 1
            elif before.step.decision is Decision.PROCEED:
                assert now.step.depth == len(before.branch)
            else:
                backtracks += 1
                assert before.step.decision is Decision.BACKTRACK
                assert dag.nodes[before.branch[-1]].status is Status.DEAD
                assert now.step.depth - 1 in before.open_depths
                assert now.step.depth < len(before.branch)
            before = now
        assert before is not None
        assert before.step.decision is Decision.END
    assert backtracks > 20


@pytest.mark.parametrize("name", NAMES)
def test_wrong_turns_are_those_from_live_to_dead(name: str, dags_of: DagsOf) -> None:
    seen = set()
    for dag, path in sampled(dags_of(name), replace(ANY, in_order=False)):
        for now in replay(dag, path):
            from_live = dag.nodes[now.parent].status is Status.LIVE
            to_dead = dag.nodes[now.branch[-1]].status is Status.DEAD
            assert now.step.wrong_turn == (from_live and to_dead)
            seen.add((from_live, to_dead))
    assert {(True, False), (True, True)} <= seen


@pytest.mark.parametrize("name", NAMES)
def test_a_walk_is_marked_as_truncated_just_where_it_reaches_no_goal(
    name: str, dags_of: DagsOf
) -> None:
    kinds = set()
    for dag, path in sampled(dags_of(name), ANY):
        statuses = [dag.nodes[step.node].status for step in path.steps]
        assert path.truncated == (statuses[-1] is not Status.GOAL)
        assert Status.GOAL not in statuses[:-1]
        kinds.add(path.truncated)
    assert kinds == {True, False}


@pytest.mark.parametrize("name", NAMES)
def test_answer_is_right_and_each_corruption_of_it_wrong(name: str, dags_of: DagsOf) -> None:
    for _, path in sampled(dags_of(name), ANY, count=3):
        assert is_right(path.problem, path.answer)
        for wrong in _corruptions(path):
            assert not is_right(path.problem, wrong), wrong


def _corruptions(path: SearchPath) -> Iterator[str]:
    """Answers that lack a word, have one twice, have another number, or say more."""
    words = path.answer.split(" ")
    for index, word in enumerate(words):
        yield " ".join(words[:index] + words[index + 1 :])
        yield " ".join([*words[:index], word, *words[index:]])
        if re.search(r"\d", word):
            other = re.sub(r"\d+", lambda found: str(int(found[0]) % 4 + 1), word)
            if other != word:
                yield " ".join([*words[:index], other, *words[index + 1 :]])
    yield ""
    yield f"{path.answer} {path.answer}"
    yield f"{path.problem.question} {path.answer}"
    yield f"{path.answer}, or not"


def test_same_stream_gives_the_same_paths(dags_of: DagsOf) -> None:
    dag = dags_of("jugs")[0]
    first, second, other = (walks_through(dag, 10, ANY, random.Random(seed)) for seed in (1, 1, 2))
    assert first == second != other


# ---------------------------------------------------------------------- knobs


@pytest.mark.parametrize("name", NAMES)
def test_without_exploring_no_walk_turns_wrong(name: str, dags_of: DagsOf) -> None:
    for dag, path in sampled(dags_of(name), Walk(explore=0, cut=0)):
        assert [step.depth for step in path.steps] == list(range(1, len(path.steps) + 1))
        assert all(dag.nodes[step.node].status is not Status.DEAD for step in path.steps)


@pytest.mark.parametrize("name", NAMES)
def test_more_exploring_makes_more_wrong_turns(name: str, dags_of: DagsOf) -> None:
    def rate(explore: float) -> float:
        walks = sampled(dags_of(name), Walk(explore=explore, cut=0, max_steps=1000))
        chosen = [
            now.step.wrong_turn
            for dag, path in walks
            for now in replay(dag, path)
            if dag.nodes[now.parent].status is Status.LIVE
        ]
        return sum(chosen) / len(chosen)

    assert 0 < rate(0.15) < rate(0.8)


@pytest.mark.parametrize("name", NAMES)
def test_shortest_path_takes_as_many_steps_as_the_start_is_away(name: str, dags_of: DagsOf) -> None:
    for dag in dags_of(name):
        path = shortest_path(dag, random_stream("shortest"))
        assert len(path.steps) - 1 == dag.nodes[0].distance_end
        assert [step.decision for step in path.steps[:-1]] == [Decision.PROCEED] * (
            len(path.steps) - 1
        )
        assert not path.truncated


@pytest.mark.parametrize("max_steps", [1, 2, 5])
@pytest.mark.parametrize("name", NAMES)
def test_max_steps_is_held(name: str, max_steps: int, dags_of: DagsOf) -> None:
    walk = Walk(explore=0.8, cut=0, max_steps=max_steps)
    lengths = [len(path.steps) for _, path in with_readings(dags_of(name), walk)]
    assert max(lengths) == max_steps


@pytest.mark.parametrize("name", NAMES)
def test_cut_says_how_many_walks_are_cut(name: str, dags_of: DagsOf) -> None:
    def share(cut: float) -> float:
        walks = with_readings(dags_of(name), Walk(cut=cut, max_steps=10_000), count=50)
        return sum(path.truncated for _, path in walks) / len(walks)

    assert share(0) == 0
    assert share(1) == 1  # all of them have two steps at least
    # 200 walks: 0.3 +- 4 standard deviations, which are sqrt(0.3 * 0.7 / 200) = 0.032
    assert 0.17 < share(0.3) < 0.43


@pytest.mark.parametrize("name", NAMES)
def test_turn_back_says_how_deep_a_dead_branch_is_followed(name: str, dags_of: DagsOf) -> None:
    for turn_back in (0, 1):
        walk = Walk(explore=0.8, cut=0, turn_back=turn_back, max_steps=1000)
        for dag, path in sampled(dags_of(name), walk):
            for now in replay(dag, path):
                if dag.nodes[now.branch[-1]].status is Status.DEAD:
                    exhausted = len(now.branch) - 1 not in now.open_depths
                    leaves = now.step.decision is Decision.BACKTRACK
                    assert leaves == (exhausted or turn_back == 1)


@pytest.mark.parametrize("name", NAMES)
def test_back_jump_says_how_far_a_walk_goes_back(name: str, dags_of: DagsOf) -> None:
    for back_jump in (0, 1):
        walk = Walk(explore=0.8, cut=0, turn_back=0.3, back_jump=back_jump, max_steps=1000)
        for dag, path in sampled(dags_of(name), walk):
            moments = list(replay(dag, path))
            for before, now in pairwise(moments):
                if before.step.decision is not Decision.BACKTRACK:
                    continue
                landed = now.step.depth - 1
                if back_jump:
                    assert dag.nodes[now.parent].status is Status.LIVE
                else:
                    own = len(before.branch) - 1
                    assert landed == max(depth for depth in before.open_depths if depth < own)


def test_of_steps_that_all_follow_the_one_told_last_is_taken(dags_of: DagsOf) -> None:
    taken = set()
    for dag, path in with_readings(dags_of("knights_knaves"), Walk(explore=0.0, cut=0.0)):
        edges = {(edge.source, edge.target): edge for edge in dag.edges}
        nodes = [step.node for step in path.steps]
        for before, now, *link in zip(path.steps, path.steps[1:], nodes, nodes[1:], strict=False):
            stated = re.findall(r"so (\w+ is a kn\w+)", before.texts.verification)
            follows = edges[link[0], link[1]].certain
            assert follows == bool(stated)
            assert not stated or now.texts.next_step.endswith(f": so {stated[-1]}")
            taken.add(follows)
    assert taken == {False, True}


@pytest.mark.parametrize("name", ["countdown", "mini_sudoku"])  # elsewhere one move is left
def test_in_order_a_further_try_follows_the_last(name: str, dags_of: DagsOf) -> None:
    for in_order in (False, True):
        walk = Walk(explore=0.8, cut=0, in_order=in_order, max_steps=1000)
        tries = [
            (now.step, now.step.node in following)
            for dag, path in sampled(dags_of(name), walk)
            for now, following in further_tries(dag, path)
        ]
        assert len(tries) > 20
        assert all(follows for _, follows in tries) == in_order
        assert any(step.wrong_turn for step, _ in tries) == (not in_order)  # that is no choice


def further_tries(dag: ReasoningDag, path: SearchPath) -> Iterator[tuple[Moment, set[int]]]:
    """Each step from a node that was left before, and where the first move to a state not yet seen
    leads, counted from the last move there. Where two moves lead to one state, it may be either."""
    last: dict[int, int] = {}
    seen = {0}
    for now in replay(dag, path):
        assert now.step.node is not None
        out = [edge.target for edge in dag.edges if edge.source == now.parent]
        if now.parent in last:
            places = [place for place, node in enumerate(out) if node == last[now.parent]]
            turns = [[*out[place + 1 :], *out[:place]] for place in places]
            yield now, {next(node for node in turn if node not in seen) for turn in turns}
        last[now.parent] = now.step.node
        seen.add(now.step.node)


@pytest.mark.parametrize("knob", ["explore", "turn_back", "back_jump", "cut"])
def test_chances_lie_between_0_and_1(knob: str) -> None:
    for value in (-0.1, 1.1):
        with pytest.raises(UserError, match=rf"synth\.{knob} is {value}"):
            Walk(**{knob: value})
    with pytest.raises(UserError, match=r"synth\.max_steps is 0"):
        Walk(max_steps=0)
