"""The grammar against a regular expression, and against the tokens allowed at each position."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from steiner.format import grammar
from steiner.format.grammar import GrammarState, texts_of
from steiner.format.parser import parse
from steiner.types import Decision

CLASS = {token: index for index, token in enumerate(grammar.SPECIAL_TOKENS)}
DECISIONS = {
    CLASS[grammar.PROCEED]: Decision.PROCEED,
    CLASS[grammar.BACKTRACK]: Decision.BACKTRACK,
    CLASS[grammar.END]: Decision.END,
}

Places = list[tuple[int, set[int]]]
"""For each token of a completion: its class, and all classes that are allowed there."""


def letters(classes: list[int]) -> str:
    """One letter per token: a to n for the 14 tokens, T text, C the closing token, O others."""
    return "".join("abcdefghijklmnTCO"[token_class] for token_class in classes)


STEP = r"egT*hiT*jkT*lmT*nf"
COMPLETION = re.compile(rf"a{STEP}(?:[cd]{STEP})*bT*C")
"""The grammar of the module's docstring, with the letters of `letters`: 14 tokens in the order
start, end, proceed, backtrack, step_start, step_end, then start and end of each component."""


@st.composite
def completions(draw: st.DrawFn) -> Places:
    """A legal completion."""
    lengths = st.integers(0, 3)
    places: Places = []

    def only(token: str) -> None:
        places.append((CLASS[token], {CLASS[token]}))

    def text(length: int, end: int) -> None:
        allowed = {grammar.TEXT, end}
        places.extend((token_class, allowed) for token_class in [grammar.TEXT] * length + [end])

    only(grammar.START)
    decisions = draw(st.lists(st.sampled_from([grammar.PROCEED, grammar.BACKTRACK]), max_size=4))
    for decision in [*decisions, grammar.END]:
        only(grammar.STEP_START)
        for name in grammar.COMPONENTS:
            only(f"<|reasoning_step_{name}_start|>")
            text(draw(lengths), CLASS[f"<|reasoning_step_{name}_end|>"])
        only(grammar.STEP_END)
        places.append((CLASS[decision], set(DECISIONS)))
    text(draw(lengths), grammar.CLOSE)
    return places


def test_there_are_14_tokens_and_their_classes_are_their_indices() -> None:
    assert len(set(grammar.SPECIAL_TOKENS)) == 14
    assert (grammar.TEXT, grammar.CLOSE, grammar.OTHER) == (14, 15, 16)
    assert [(GrammarState(s), len(row)) for s, row in enumerate(grammar.TRANSITIONS)] == [
        (state, 17) for state in GrammarState
    ]


@given(completions())
def test_every_prefix_parses_and_the_whole_is_done(places: Places) -> None:
    classes = [token_class for token_class, _ in places]
    assert COMPLETION.fullmatch(letters(classes))
    for length in range(len(classes)):
        state = parse(classes[:length]).state
        assert state not in (GrammarState.BROKEN, GrammarState.DONE)
    assert parse(classes).state is GrammarState.DONE


@settings(max_examples=25)
@given(completions())
def test_a_token_breaks_the_format_only_if_it_is_not_allowed(places: Places) -> None:
    classes = [token_class for token_class, _ in places]
    for position, (_, allowed) in enumerate(places):
        for token_class in range(grammar.NUM_CLASSES):
            broken = parse([*classes[:position], token_class]).state is GrammarState.BROKEN
            assert broken == (token_class not in allowed)
    for token_class in range(grammar.NUM_CLASSES):  # nothing may follow the closing token
        assert parse([*classes, token_class]).state is GrammarState.BROKEN


@given(completions())
def test_spans_cover_the_reasoning_and_hold_the_texts(places: Places) -> None:
    classes = [token_class for token_class, _ in places]
    found = parse(classes)
    assert found.spans[0].start == 1  # after reasoning_start
    assert all(before.stop == after.start for before, after in pairwise(found.spans))
    for span in found.spans:
        assert classes[span.start] == CLASS[grammar.STEP_START]
        assert span.decision is DECISIONS[classes[span.stop - 1]]
        assert len(span.components) == 4
        for name, (start, stop) in zip(grammar.COMPONENTS, span.components, strict=True):
            assert classes[start - 1] == CLASS[f"<|reasoning_step_{name}_start|>"]
            assert classes[start:stop] == [grammar.TEXT] * (stop - start)
            assert classes[stop] == CLASS[f"<|reasoning_step_{name}_end|>"]
    assert found.answer == (found.spans[-1].stop, len(classes) - 1)


@given(completions(), st.data())
def test_a_truncated_completion_keeps_its_whole_steps(places: Places, data: st.DataObject) -> None:
    classes = [token_class for token_class, _ in places]
    length = data.draw(st.integers(0, len(classes) - 1))
    whole, cut = parse(classes), parse(classes[:length])
    kept = [span for span in whole.spans if span.stop <= length]
    assert list(cut.spans[: len(kept)]) == kept
    for span in cut.spans[len(kept) :]:  # at most one, unfinished
        assert span.start == whole.spans[len(kept)].start
        assert span.stop == length
        assert span.decision is None
    assert len(cut.spans) <= len(kept) + 1
    assert (cut.answer is None) == (length < whole.spans[-1].stop)


@given(st.lists(st.integers(0, grammar.NUM_CLASSES - 1), max_size=60))
def test_random_tokens_are_read_up_to_the_first_invalid_one(classes: list[int]) -> None:
    found = parse(classes)
    whole = COMPLETION.fullmatch(letters(classes)) is not None
    assert (found.state is GrammarState.DONE) == whole
    assert all(0 <= span.start < span.stop <= len(classes) for span in found.spans)
    assert all(before.stop == after.start for before, after in pairwise(found.spans))


@given(completions(), st.data())
def test_tokens_after_an_invalid_one_are_not_read(places: Places, data: st.DataObject) -> None:
    classes = [token_class for token_class, _ in places]
    position = data.draw(st.integers(0, len(classes) - 1))
    rest = data.draw(st.lists(st.integers(0, grammar.NUM_CLASSES - 1), max_size=20))
    broken = [*classes[:position], grammar.OTHER]
    assert parse([*broken, *rest]) == parse(broken)


def test_missing_components_are_empty() -> None:
    texts = texts_of(["go left", "at a fork"])
    assert (texts.next_step, texts.understanding) == ("go left", "at a fork")
    assert (texts.summary, texts.verification) == ("", "")
