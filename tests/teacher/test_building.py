"""Building a DAG from chains of steps."""

from __future__ import annotations

from steiner.questions.reading import Question
from steiner.questions.task import problem_of
from steiner.teacher.building import START, UNEXPLAINED, DagBuilder
from steiner.types import Status, StepTexts


def _steps(*summaries: str) -> list[StepTexts]:
    return [StepTexts(f"do {s}", "known", s, f"{s} holds") for s in summaries]


def _builder() -> DagBuilder:
    return DagBuilder(problem_of(Question("How much?", "7"), "questions"))


def test_equal_values_share_a_node() -> None:
    builder = _builder()
    builder.add_chain(_steps("a = 3", "b = 5", "c = 7"), START, is_right=True)
    builder.add_chain(_steps("first 4", "then 5", "so 7"), START, is_right=True)
    dag = builder.build()
    assert [node.state[1] for node in dag.nodes] == ["", "3", "4", "5", "7"]
    assert [node.in_degree for node in dag.nodes] == [0, 1, 1, 2, 1]
    assert [node.distance_end for node in dag.nodes] == [3, 2, 2, 1, 0]
    assert dag.nodes[4].status is Status.GOAL


def test_a_value_that_comes_again_is_another_step() -> None:
    builder = _builder()
    builder.add_chain(_steps("x is 3", "y is 3", "z is 7"), START, is_right=True)
    dag = builder.build()
    assert [node.state[1] for node in dag.nodes] == ["", "3", "3", "7"]
    assert [(edge.source, edge.target) for edge in dag.edges] == [(0, 1), (1, 2), (2, 3)]


def test_steps_without_a_number_are_equal_by_their_words() -> None:
    builder = _builder()
    first = builder.add_chain(_steps("Ann is older than Bob"), START, is_right=False)
    same = builder.add_chain(_steps("ann is older than bob."), START, is_right=False)
    other = builder.add_chain(_steps("the train leaves at noon"), START, is_right=False)
    assert first == same != other


def test_who_does_what_to_whom_makes_another_step() -> None:
    before = "From the second clue and from the last one, which both speak of age, it follows"
    pairs = [
        ("Ann is older than Bob", "Bob is older than Ann"),
        (f"{before} that Ann is older than Bob", f"{before} that Bob is older than Ann"),
        (f"{before} that Ann is a knight", f"{before} that Ann is not a knight"),
        (f"{before} that Ann is a knight", f"{before} that Ann isn't a knight"),
    ]
    for one, other in pairs:
        builder = _builder()
        nodes = [builder.add_chain(_steps(s), START, is_right=False) for s in (one, other)]
        assert nodes[0] != nodes[1], one
    builder = _builder()
    said = (f"{before} that Ann is a knight", f"So {before} that Ann is a knight.")
    nodes = [builder.add_chain(_steps(s), START, is_right=False) for s in said]
    assert nodes[0] == nodes[1]


def test_dead_ends_have_their_correction() -> None:
    builder = _builder()
    builder.add_chain(_steps("a = 3", "b = 7"), START, is_right=True)
    wrong = builder.add_chain(_steps("a = 4", "b = 8"), START, is_right=False)
    builder.add_chain(_steps("a = 5"), START, is_right=False)
    builder.add_correction(wrong[-1], "4 is not the number.")
    builder.add_evidence(wrong[0], [False, False, False])
    dag = builder.build()
    checks = {dag.nodes[edge.target].state[1]: edge.action[3] for edge in dag.edges}
    assert checks["4"] == "a = 4 holds"
    assert checks["8"] == "4 is not the number."
    assert checks["5"] == UNEXPLAINED
    evidence = {node.state[1]: node.state[2:] for node in dag.nodes}
    assert evidence["4"] == (0, 3)
    assert {n.state[1] for n in dag.nodes if n.status is Status.DEAD} == {"4", "5", "8"}


def test_nothing_leaves_a_goal() -> None:
    builder = _builder()
    builder.add_chain(_steps("b = 7"), START, is_right=True)
    builder.add_chain(_steps("b = 7", "c = 9"), START, is_right=False)
    dag = builder.build()
    assert len(dag.nodes) == 2
    assert builder.counts["steps after the answer"] == 1
