"""A step's reward goes to the tokens that caused it."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from steiner.dags.path_sampling import Walk
from steiner.dags.solver import build_dag
from steiner.dags.tracing import Tracer
from steiner.format import grammar
from steiner.format.codec import Codec
from steiner.format.parser import parse
from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens
from steiner.randomness import random_stream
from steiner.recipe import EMBEDDED_BASE
from steiner.rl.credit_assignment import StepTokens, locate, token_advantages
from steiner.rl.rewards import STEP_LIMIT, StepAdvantage
from steiner.tasks import generate_problems
from steiner.types import Rollout, SearchPath, Split, StopReason
from tests.puzzles import PUZZLES, puzzle, walks_through


@pytest.fixture(scope="module")
def codec() -> Codec:
    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED_BASE)
    add_reasoning_tokens(tokenizer)
    return Codec(Vocabulary.require(tokenizer))


def walk(name: str, seed: int) -> tuple[Tracer, SearchPath]:
    """A search with wrong turns through one of a few problems."""
    level = puzzle(name).levels[0]
    problems = generate_problems(name, level, seed=3, split=Split.TRAIN)
    problem = next(islice(problems, seed % 5, None))
    tracer = Tracer(build_dag(problem))
    rng = random_stream("credit", seed)
    (path,) = walks_through(tracer.dag, 1, Walk(explore=0.6, cut=0.0), rng)
    return tracer, path


def written(codec: Codec, path: SearchPath) -> list[int]:
    """The completion that tells `path`."""
    prompt = codec.vocabulary.encode_prompt(path.problem.messages)
    return list(codec.encode_path(path).token_ids[len(prompt) :])


def read(codec: Codec, token_ids: list[int]) -> Rollout:
    return codec.decode((), token_ids, [-1.0] * len(token_ids), StopReason.END)


def located(codec: Codec, tracer: Tracer, token_ids: list[int]) -> tuple[StepTokens, ...]:
    rollout = read(codec, token_ids)
    return locate(codec, tracer, tracer.trace(rollout.steps), rollout)


walks = st.tuples(st.sampled_from(PUZZLES), st.integers(0, 200))


@settings(max_examples=40)
@given(walks)
def test_of_a_right_walk_every_step_is_found_and_none_is_at_fault(
    codec: Codec, which: tuple[str, int]
) -> None:
    tracer, path = walk(*which)
    token_ids = written(codec, path)
    found = located(codec, tracer, token_ids)
    assert len(found) == len(path.steps)
    for place, step in zip(found, path.steps, strict=True):
        choice = [token_ids[position] for position in place.choice]
        assert codec.vocabulary.decode_text(choice) == step.texts.next_step
        assert place.fault is None
        assert place.written == len(codec.encode_step(step.texts))
        assert place.decision is not None
        assert codec.vocabulary.classes([token_ids[place.decision]])[0] in grammar.DECISION_CLASSES


@settings(max_examples=60)
@given(walks, st.data())
def test_a_fault_is_found_at_the_token_that_was_changed(
    codec: Codec, which: tuple[str, int], data: st.DataObject
) -> None:
    tracer, path = walk(*which)
    token_ids = written(codec, path)
    spans = parse(codec.vocabulary.classes(token_ids)).spans
    index = data.draw(st.integers(0, len(spans) - 1))
    texts = [position for part in spans[index].components for position in range(*part)]
    position = data.draw(st.sampled_from(texts))
    other = data.draw(st.sampled_from([t for t in token_ids if t not in special(codec)]))
    token_ids[position], before = other, token_ids[position]
    found = located(codec, tracer, token_ids)
    traced = tracer.trace(read(codec, token_ids).steps).steps
    assert all(place.fault is None for place in found[:index])
    if other == before:
        assert found[index].fault is None
    elif not (traced[index].sound and traced[index].verdict_true):
        fault = found[index].fault
        assert fault is not None
        named = position in found[index].choice  # the words of another next step, up to some token
        assert fault >= position if named else fault == position


def special(codec: Codec) -> set[int]:
    return {*codec.vocabulary.special_ids, codec.vocabulary.close_id}


def test_off_the_dag_no_step_is_at_fault_again(codec: Codec) -> None:
    tracer, path = walk("jugs", 2)
    reading, *steps = (step.texts for step in path.steps[:3])
    vocabulary = codec.vocabulary
    proceed = vocabulary.special_ids[grammar.SPECIAL_TOKENS.index(grammar.PROCEED)]
    start = vocabulary.special_ids[grammar.SPECIAL_TOKENS.index(grammar.START)]
    lost = list(codec.encode_step(steps[0]))
    (span,) = parse(vocabulary.classes([start, *lost])).spans
    summary = span.components[2][0] - 1  # lost has no start of reasoning
    lost[summary] = vocabulary.encode_text("seven")[0]
    read_first = [start, *codec.encode_step(reading), proceed]
    following = [proceed, *codec.encode_step(steps[1]), proceed]
    found = located(codec, tracer, [*read_first, *lost, *following])
    assert [place.fault for place in found] == [None, len(read_first) + summary, None]


def test_an_unfinished_step_without_a_wrong_token_is_not_at_fault(codec: Codec) -> None:
    tracer, path = walk("jugs", 2)
    token_ids = written(codec, path)
    (first, *_) = located(codec, tracer, token_ids)
    assert first.decision is not None
    (cut,) = located(codec, tracer, token_ids[: first.decision - 5])
    assert (cut.fault, cut.decision) == (None, None)


sizes = st.floats(-STEP_LIMIT / 2, STEP_LIMIT / 2)


@given(st.lists(st.tuples(st.integers(1, 6), st.booleans(), sizes, sizes, sizes), max_size=6))
def test_however_it_is_placed_no_token_gets_more_than_the_limit_on_average(
    stated: list[tuple[int, bool, float, float, float]],
) -> None:
    found, steps, end = [], [], 1
    for named, faulty, *values in stated:  # start of the step, its name, one more token, decision
        fault = end + named + 1 if faulty else None
        decision = end + named + 2
        found.append(StepTokens(range(end + 1, end + 1 + named), fault, decision, named + 2))
        steps.append(StepAdvantage(*values))
        assert steps[-1].largest <= STEP_LIMIT
        end = decision + 1
    advantage_T = token_advantages(end, found, steps)
    assert abs(sum(advantage_T)) / end <= STEP_LIMIT


def test_advantages_of_tokens_by_hand() -> None:
    # 0 start | 1 2 3 4 5 6: a step of six tokens, named by 3 and 4, wrong at 5 | 7 its decision
    # 8 9 10 11: one of three tokens, named by 9, and its decision | 12 the answer
    found = token_advantages(
        13,
        [StepTokens(range(3, 5), 5, 7, 6), StepTokens(range(9, 10), None, 11, 3)],
        [StepAdvantage(0.1, -0.2, 0.3), StepAdvantage(-0.1, -0.2, -0.4)],
    )
    expected = [0, 0, 0, 0.1 * 6 / 2, 0.1 * 6 / 2, -0.2 * 6, 0, 0.3, 0, -0.1 * 3, 0, -0.4, 0]
    assert found == pytest.approx(expected)
