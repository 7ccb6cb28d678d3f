"""Sampled walks are traced back to their own nodes, and false statements are found."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steiner.dags.path_sampling import Walk
from steiner.dags.tracing import Trace, Tracer
from steiner.randomness import random_stream
from steiner.types import Decision, ReasoningDag, SearchPath, Step, StepTexts
from tests.puzzles import PUZZLES as NAMES
from tests.puzzles import puzzle, reading_step, walks_through

DagsOf = Callable[[str], tuple[ReasoningDag, ...]]


def _walks(dag: ReasoningDag, count: int = 15) -> list[SearchPath]:
    walk = Walk(explore=0.7, turn_back=0.3, cut=0.1)
    paths = walks_through(dag, count, walk, random_stream("test trace"))
    return [replace(path, steps=path.steps[1:]) for path in paths if len(path.steps) > 1]


def trace(dag: ReasoningDag, steps: Sequence[Step]) -> Trace:
    """The trace of steps that follow the one which reads the question."""
    found = Tracer(dag).trace([reading_step(dag.problem), *steps])
    return Trace(found.steps[1:])


@pytest.mark.parametrize("name", NAMES)
def test_a_misread_question_is_unsound(name: str, dags_of: DagsOf) -> None:
    dag, other, *_ = dags_of(name)
    first = reading_step(dag.problem)
    found = Tracer(dag).trace([first]).steps[0]
    assert (found.legal, found.sound, found.verdict_true) == (True, True, True)
    assert (found.depth, found.node) == (0, 0)
    loud = _reworded(first, understanding=first.texts.understanding.upper())
    assert Tracer(dag).trace([loud]).steps[0].sound  # letter case is the person's
    misread = Tracer(dag).trace([reading_step(other.problem)]).steps[0]
    assert (misread.legal, misread.sound) == (True, False)
    skipped = Tracer(dag).trace([_reworded(first, next_step="Step 1")]).steps[0]
    assert not skipped.legal
    (line,) = {texts.understanding for texts in Tracer(dag).right_steps(misread)}
    assert line == first.texts.understanding


@pytest.mark.parametrize("name", NAMES)
def test_every_step_of_a_sampled_walk_is_legal_sound_and_its_own(
    name: str, dags_of: DagsOf
) -> None:
    for dag in dags_of(name):
        for path in _walks(dag):
            found = trace(dag, path.steps).steps
            assert [step.node for step in found] == [step.node for step in path.steps]
            assert [step.depth for step in found] == [step.depth for step in path.steps]
            assert [step.decision for step in found] == [step.decision for step in path.steps]
            for step in found:
                assert step.legal
                assert step.sound
                assert step.verdict_true
                assert not step.repeated
                assert step.status is dag.nodes[step.node].status


@pytest.mark.parametrize("name", NAMES)
def test_texts_read_back_as_the_states_that_they_tell(name: str, dags_of: DagsOf) -> None:
    chosen = puzzle(name)
    for dag in dags_of(name):
        state = [node.state for node in dag.nodes]
        for path in _walks(dag, count=5):
            branch = [0]
            for step in path.steps:
                branch = [*branch[: step.depth], step.node]
                reading = chosen.read_step(dag.problem, step.texts)
                assert (reading.depth, reading.sound) == (step.depth, True)
                assert (reading.before, reading.after) == (state[branch[-2]], state[branch[-1]])
                assert reading.verdict is chosen.verdict(dag.problem.spec, state[branch[-1]])


# ---------------------------------------------------------------------- false steps


def _long_walk(dag: ReasoningDag) -> SearchPath:
    return max(_walks(dag, 40), key=lambda path: len(path.steps))


def _reworded(step: Step, **texts: str) -> Step:
    return replace(step, texts=replace(step.texts, **texts))


@pytest.mark.parametrize("name", NAMES)
def test_wrong_words_cost_just_what_they_say(name: str, dags_of: DagsOf) -> None:
    dag = dags_of(name)[0]
    first, *rest = _long_walk(dag).steps
    other = next(step for step in rest if step.node != first.node)

    mute = trace(dag, [_reworded(first, next_step="Let me see")]).steps[0]
    assert (mute.legal, mute.sound, mute.node) == (False, False, None)

    elsewhere = trace(dag, [_reworded(first, summary=other.texts.summary)]).steps[0]
    assert (elsewhere.legal, elsewhere.sound, elsewhere.node) == (True, False, None)

    nowhere = re.sub(r"(from|with|rows|,) [^:]+:", r"\1 nowhere:", first.texts.next_step)
    lost = trace(dag, [_reworded(first, next_step=nowhere)]).steps[0]
    assert (lost.legal, lost.sound, lost.node) == (True, False, first.node)

    muddled = trace(dag, [_reworded(first, understanding="Clear")]).steps[0]
    assert (muddled.legal, muddled.sound, muddled.node) == (True, False, first.node)

    silent = trace(dag, [_reworded(first, verification="Fine")]).steps[0]
    assert (silent.legal, silent.sound, silent.node) == (True, False, first.node)
    assert not silent.verdict_true


@pytest.mark.parametrize("name", NAMES)
def test_a_step_from_another_state_than_it_tells_is_unsound(name: str, dags_of: DagsOf) -> None:
    dag = dags_of(name)[0]
    chosen, spec = puzzle(name), dag.problem.spec
    first = _long_walk(dag).steps[0]
    start = dag.nodes[0].state
    move = next(m for m in chosen.moves(spec, start) if m.state == dag.nodes[first.node].state)
    stated = set()
    for node in dag.nodes[1:]:
        if not node.out_degree:
            continue  # no step starts there
        texts = chosen.step_texts(dag.problem, 1, node.state, move)
        if texts.next_step == first.texts.next_step:
            continue  # a sudoku's row may be as it was
        stated.add(texts.next_step)
        reworded = _reworded(first, next_step=texts.next_step, understanding=texts.understanding)
        (found,) = trace(dag, [reworded]).steps
        assert (found.legal, found.sound, found.node) == (True, False, first.node)
    assert stated


@pytest.mark.parametrize("name", NAMES)
def test_a_state_reached_again_is_marked(name: str, dags_of: DagsOf) -> None:
    dag = dags_of(name)[0]
    first = replace(_long_walk(dag).steps[0], decision=Decision.BACKTRACK)
    found = trace(dag, [first, first]).steps
    assert [step.repeated for step in found] == [False, True]
    assert [step.legal for step in found] == [True, True]


@pytest.mark.parametrize("name", NAMES)
def test_depth_must_be_what_the_decision_before_allows(name: str, dags_of: DagsOf) -> None:
    dag = dags_of(name)[0]
    path = _long_walk(dag)
    first, second = path.steps[0], next(step for step in path.steps if step.depth == 2)
    assert not trace(dag, [second]).steps[0].legal  # there is no earlier step
    stays = [replace(first, decision=Decision.PROCEED), first]
    assert [step.legal for step in trace(dag, stays).steps] == [True, False]
    skips = [replace(first, decision=Decision.BACKTRACK), second]
    assert [step.legal for step in trace(dag, skips).steps] == [True, False]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_legal_follows_a_step_off_the_dag(name: str, dags_of: DagsOf) -> None:
    dag = dags_of(name)[0]
    path = _long_walk(dag)
    first = replace(path.steps[0], decision=Decision.PROCEED)
    second = next(step for step in path.steps if step.depth == 2)
    lost = _reworded(first, summary=second.texts.summary)
    found = trace(dag, [lost, second]).steps[1]
    assert (found.parent, found.legal, found.sound, found.node) == (None, False, False, None)


PIECES = st.sampled_from(
    [
        *("Step", "1:", "2:", "0:", "9999:", "of", "is", "now", "from", "Now", "Grid", "."),
        *("fill A", "pour A into Z", "suppose Ann is a knight", "C", "1 2 3 4", "_ _ _ _"),
        *("+", "-", "=", "/", "|", ",", ";", "{depth}", "²", "٣", "\n", "-1", "007"),
    ]
)
WORDS = st.lists(PIECES | st.text(max_size=4), max_size=8).map(" ".join)


@pytest.fixture(scope="module")
def walks(dags_of: DagsOf) -> dict[str, SearchPath]:
    """A long walk of each family."""
    return {name: _long_walk(dags_of(name)[0]) for name in NAMES}


@settings(max_examples=60)
@given(data=st.data())
def test_word_soup_never_crashes(
    dags_of: DagsOf, walks: dict[str, SearchPath], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(NAMES))
    genuine = st.sampled_from(walks[name].steps)
    steps = []
    for _ in range(data.draw(st.integers(1, 5))):
        shown = [data.draw(genuine).texts for _ in range(4)]
        texts = [
            data.draw(WORDS | st.just(getattr(one, part)))
            for one, part in zip(shown, StepTexts.__slots__, strict=True)
        ]
        steps.append(Step(StepTexts(*texts), data.draw(st.sampled_from(Decision)), 1))
    for found in trace(dags_of(name)[0], steps).steps:
        assert found.legal or not found.sound
        assert found.node is None or found.legal
