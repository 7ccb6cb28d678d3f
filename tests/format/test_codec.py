"""SearchPath -> TokenSequence -> Rollout gives the same steps; every token has its step index."""

from __future__ import annotations

import unicodedata
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from steiner.format import grammar
from steiner.format.codec import Codec
from steiner.format.parser import parse
from steiner.format.tokenizer import PAD, TURN_END, TURN_START, Vocabulary
from steiner.types import (
    Decision,
    Message,
    Problem,
    Rollout,
    SearchPath,
    Step,
    StepTexts,
    StopReason,
    TokenSequence,
)

LOOK_ALIKES = (*grammar.SPECIAL_TOKENS, PAD, TURN_START, TURN_END, "<|im_start|>assistant\n")
CHARACTERS = st.characters(exclude_categories=("Cs", "Cn"))


def _clean(text: str) -> str:
    """Normalised like a decoded text: NFC, without blanks around it."""
    return unicodedata.normalize("NFC", text).strip()


TEXTS = (
    st.lists(st.text(CHARACTERS, max_size=8) | st.sampled_from(LOOK_ALIKES), max_size=4)
    .map("".join)
    .map(_clean)
)


@st.composite
def paths(draw: st.DrawFn) -> SearchPath:
    """Any texts, any decisions; the last one ends."""
    problem = Problem("countdown", "0" * 16, 1, "en", (Message("user", draw(TEXTS)),), {})
    decisions = draw(st.lists(st.sampled_from([Decision.PROCEED, Decision.BACKTRACK]), max_size=3))
    depth, steps = 1, []
    for decision in [*decisions, Decision.END]:
        texts = StepTexts(draw(TEXTS), draw(TEXTS), draw(TEXTS), draw(TEXTS))
        steps.append(Step(texts, decision, depth, wrong_turn=draw(st.booleans())))
        depth += decision is Decision.PROCEED
    return SearchPath(problem, tuple(steps), draw(TEXTS), truncated=draw(st.booleans()))


def _completion(
    vocabulary: Vocabulary, path: SearchPath, sequence: TokenSequence
) -> tuple[int, ...]:
    prompt = vocabulary.encode_prompt(path.problem.messages)
    assert sequence.token_ids[: len(prompt)] == tuple(prompt)
    return sequence.token_ids[len(prompt) :]


def _decode(codec: Codec, completion: tuple[int, ...]) -> Rollout:
    return codec.decode((), completion, (0.0,) * len(completion), StopReason.END)


@settings(max_examples=60)
@given(path=paths())
def test_decoding_gives_back_the_path(vocabulary: Vocabulary, path: SearchPath) -> None:
    codec = Codec(vocabulary)
    rollout = _decode(codec, _completion(vocabulary, path, codec.encode_path(path)))
    assert rollout.well_formed
    assert rollout.steps == tuple(replace(step, wrong_turn=False) for step in path.steps)
    assert rollout.answer == path.answer


def _step_index(vocabulary: Vocabulary, completion: tuple[int, ...]) -> tuple[int, ...]:
    """Index of each token's step by the spans of its Rollout; -1 outside steps."""
    index_T = [-1] * len(completion)
    for step, span in enumerate(_decode(Codec(vocabulary), completion).spans):
        index_T[span.start : span.stop] = [step] * (span.stop - span.start)
    return tuple(index_T)


@settings(max_examples=60)
@given(path=paths())
def test_each_token_has_its_step_index(vocabulary: Vocabulary, path: SearchPath) -> None:
    codec = Codec(vocabulary)
    sequence = codec.encode_path(path)
    completion = _completion(vocabulary, path, sequence)
    indices = _step_index(vocabulary, completion)
    spans = parse(vocabulary.classes(completion)).spans
    assert len(spans) == len(path.steps)
    for index, span in enumerate(spans):
        assert set(indices[span.start : span.stop]) == {index}
        step = codec.encode_step(path.steps[index].texts)
        assert completion[span.start : span.stop - 1] == step
    special = dict(zip(vocabulary.special_ids, grammar.SPECIAL_TOKENS, strict=True))
    for index, step in enumerate(path.steps):
        own = [token for token, at in zip(completion, indices, strict=True) if at == index]
        first = indices.index(index)
        assert indices[first : first + len(own)] == (index,) * len(own)  # without a gap
        assert special[own[0]] == grammar.STEP_START
        assert special[own[-1]] == f"<|reasoning_{step.decision}|>"
    assert special[completion[0]] == grammar.START  # belongs to no step, as does the answer
    answer = [token for token, at in zip(completion, indices, strict=True) if at == -1][1:]
    assert vocabulary.decode_text(answer[:-1]) == path.answer
    assert answer[-1] == vocabulary.close_id


@settings(max_examples=60)
@given(path=paths())
def test_only_the_sampler_s_choices_carry_loss(vocabulary: Vocabulary, path: SearchPath) -> None:
    weights = {"choice_loss": 3.0, "wrong_turn_loss": 0.25, "answer_loss": 2.0}
    sequence = Codec(vocabulary).encode_path(path, **weights)
    completion = _completion(vocabulary, path, sequence)
    assert set(sequence.loss_weights[: -len(completion)]) <= {0.0}
    rows = list(
        zip(
            completion,
            sequence.loss_weights[-len(completion) :],
            _step_index(vocabulary, completion),
            strict=True,
        )
    )
    for index, step in enumerate(path.steps):
        for weight, named in ((0.25, step.wrong_turn), (3.0, not step.wrong_turn)):
            own = [token for token, its, at in rows if at == index and its == weight]
            assert vocabulary.decode_text(own) == (step.texts.next_step if named else "")
    unweighted = [(token, at) for token, weight, at in rows if weight == 0.0]
    end = vocabulary.special_ids[grammar.SPECIAL_TOKENS.index(grammar.END)]
    assert unweighted == ([(end, len(path.steps) - 1)] if path.truncated else [])
    answer = [token for token, weight, _ in rows if weight == 2.0]
    assert vocabulary.decode_text(answer[:-1]) == path.answer
    assert answer[-1] == vocabulary.close_id
    assert {weight for _, weight, _ in rows} <= {0.0, 0.25, 1.0, 2.0, 3.0}


@settings(max_examples=40)
@given(path=paths(), data=st.data())
def test_a_truncated_completion_gives_its_whole_steps(
    vocabulary: Vocabulary, path: SearchPath, data: st.DataObject
) -> None:
    codec = Codec(vocabulary)
    completion = _completion(vocabulary, path, codec.encode_path(path))
    length = data.draw(st.integers(0, len(completion) - 1))
    rollout = _decode(codec, completion[:length])
    whole = _decode(codec, completion)
    assert not rollout.well_formed
    finished = list(rollout.steps[:-1])
    assert finished == list(whole.steps[: len(finished)])
    if rollout.steps and rollout.steps[-1] != whole.steps[len(finished)]:
        assert rollout.steps[-1].decision is Decision.END  # cut short: no decision of its own


@settings(max_examples=60)
@given(data=st.data())
def test_random_tokens_never_crash(vocabulary: Vocabulary, data: st.DataObject) -> None:
    special = st.sampled_from([*vocabulary.special_ids, vocabulary.close_id, vocabulary.pad_id])
    anything = st.integers(0, len(vocabulary.tokenizer) - 1)
    soup = tuple(data.draw(st.lists(special | anything, max_size=50)))
    codec = Codec(vocabulary)
    rollout = _decode(codec, soup)
    assert len(rollout.steps) == len(parse(vocabulary.classes(soup)).spans)


def test_direct_answer_has_loss_on_the_answer_only(vocabulary: Vocabulary) -> None:
    messages = [Message("user", "Make 9 from 4, 5."), Message("assistant", "4 + 5 = 9")]
    sequence = Codec(vocabulary).encode_answer([*messages, Message("user", "And 20?")], "4 * 5")
    weighted = [
        token
        for token, weight in zip(sequence.token_ids, sequence.loss_weights, strict=True)
        if weight
    ]
    assert vocabulary.decode_text(weighted) == f"4 * 5{TURN_END}"
    assert list(sequence.loss_weights) == sorted(sequence.loss_weights)  # the last ones
    assert set(sequence.loss_weights) == {0.0, 1.0}


def test_a_question_that_is_only_read_stops_before_its_decision(vocabulary: Vocabulary) -> None:
    problem = Problem("countdown", "0" * 16, 1, "en", (Message("user", "How?"),), {})
    texts = StepTexts("Read the question", "Numbers 8 3, target 5", "Now we hold 8 3", "2 left")
    step = Step(texts, Decision.PROCEED, 0)
    codec = Codec(vocabulary)
    sequence = codec.encode_path(SearchPath(problem, (step,), "", truncated=True))
    completion = _completion(vocabulary, SearchPath(problem, (step,), ""), sequence)
    assert completion[1:] == codec.encode_step(texts)
    assert sequence.loss_weights[-len(completion) :] == (1.0,) * len(completion)
