"""Deltas of a completion add up to its whole result."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steiner.format.codec import Codec
from steiner.serving.formatting import AnswerText, DeltaFormatter, reasoning_text
from steiner.types import Decision, Problem, SearchPath, Step, StepTexts, StopReason

TEXTS = st.text(st.sampled_from("ab 12\n.,é"), max_size=8)
STEPS = st.lists(
    st.builds(
        Step,
        st.builds(StepTexts, TEXTS, TEXTS, TEXTS, TEXTS),
        st.sampled_from([Decision.PROCEED, Decision.BACKTRACK]),
        st.just(1),
    ),
    min_size=1,
    max_size=4,
)


def _completion(vocabulary, steps, answer):
    """Token ids of a whole completion with these steps and this answer."""
    last = Step(steps[-1].texts, Decision.END, 1)
    problem = Problem("", "", 0, "en", (), {})
    encoded = Codec(vocabulary).encode_path(SearchPath(problem, (*steps[:-1], last), answer))
    prompt = len(vocabulary.encode_prompt(()))
    return encoded.token_ids[prompt:]


@given(steps=STEPS, answer=TEXTS, cuts=st.lists(st.integers(0, 200), max_size=9))
def test_pieces_add_up(vocabulary, steps, answer, cuts):
    ids = _completion(vocabulary, steps, answer)
    rollout = Codec(vocabulary).decode((), ids, [0.0] * len(ids), StopReason.END)
    formatter = DeltaFormatter(vocabulary)
    edges = [0, *sorted(cut for cut in cuts if cut < len(ids)), len(ids)]
    deltas = [
        formatter.add(ids[start:stop], last=stop == len(ids)) for start, stop in pairwise(edges)
    ]
    assert "".join(delta.content for delta in deltas) == rollout.answer
    assert "".join(delta.reasoning for delta in deltas) == reasoning_text(rollout.steps)
    objects = [step for delta in deltas for step in delta.steps]
    assert [step["summary"] for step in objects] == [s.texts.summary for s in rollout.steps]
    assert [step["decision"] for step in objects] == [s.decision for s in rollout.steps]


def test_the_first_step_says_that_it_reads_the_question(vocabulary):
    read, other = "Read the question", "Step 1 from 3 5: 3 + 5"
    for texts, expected in (((read, read), [True, False]), ((other, read), [False, False])):
        steps = [Step(StepTexts(text, "a", "b", "c"), Decision.PROCEED, 1) for text in texts]
        ids = _completion(vocabulary, steps, "8")
        objects = DeltaFormatter(vocabulary).add(ids, last=True).steps
        assert [step["reads"] for step in objects] == expected


def test_reasoning_reads_like_this():
    steps = [
        Step(StepTexts("3 + 5", "3 5 8", "8 8", "not 16"), Decision.BACKTRACK, 1),
        Step(StepTexts("3 * 5", "", "15 8", "goal"), Decision.END, 1),
    ]
    assert reasoning_text(steps) == (
        "Step 1\nNext step: 3 + 5\nCurrent understanding: 3 5 8\nSummary: 8 8\n"
        "Verification: not 16\nDecision: backtrack\n\n"
        "Step 2\nNext step: 3 * 5\nSummary: 15 8\nVerification: goal"
    )


@pytest.mark.parametrize(
    ("stops", "stated", "stopped_at"),
    [
        ((), "one two three", None),
        (("two",), "one ", "two"),
        (("three", "two"), "one ", "two"),
        (("one",), "", "one"),
        (("e t", "on"), "", "on"),
        (("four", "threes"), "one two three", None),
        (("ee",), "one two thr", "ee"),
    ],
)
def test_stop_texts(stops, stated, stopped_at):
    for size in range(1, 14):
        content, text = AnswerText(stops), " one two three\n"
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        said = "".join(map(content.add, pieces)) + content.rest()
        assert (said, content.stopped_at) == (stated.rstrip(), stopped_at)
