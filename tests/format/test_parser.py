"""GrammarParser and `parse` agree, and no other code parses completions."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import steiner
from steiner.format import grammar
from steiner.format.grammar import TRANSITIONS, GrammarState
from steiner.format.parser import GrammarParser, grammar_states, parse

CLASSES = st.lists(st.integers(0, grammar.NUM_CLASSES - 1), max_size=40)


@st.composite
def walks(draw: st.DrawFn) -> list[int]:
    """Token classes that the grammar allows, and perhaps some that it does not."""
    parser, walk = GrammarParser(), []
    for choice in draw(st.lists(st.integers(0, 5), max_size=120)):
        allowed = [c for c in range(grammar.NUM_CLASSES) if parser.allows(c)]
        if not allowed:
            break
        walk.append(allowed[choice % len(allowed)])
        parser.feed(walk[-1])
    return walk + draw(st.one_of(st.just([]), CLASSES))


@given(walks())
def test_every_prefix_has_the_same_parse_both_ways(classes: list[int]) -> None:
    parser = GrammarParser()
    for count, token_class in enumerate(classes, 1):
        allowed = parser.allows(token_class)
        state = parser.feed(token_class)
        assert (state is GrammarState.BROKEN) == (not allowed)
        assert parser.result() == parse(classes[:count])


@given(walks())
def test_states_are_those_before_each_token(classes: list[int]) -> None:
    states = grammar_states(classes)
    assert len(states) == len(classes)
    for position, state in enumerate(states):
        assert state is parse(classes[:position]).state


@given(walks())
def test_spans_follow_each_other_and_hold_their_components(classes: list[int]) -> None:
    parsed = parse(classes)
    previous = 1
    for span in parsed.spans:
        assert span.start == previous
        inner = [place for component in span.components for place in component]
        assert inner == sorted(inner)
        assert all(span.start < place <= span.stop for place in inner)
        previous = span.stop
    assert all(span.decision is not None for span in parsed.spans[:-1])


def test_only_the_parser_and_the_masks_read_the_transition_table() -> None:
    package = Path(steiner.__file__).parent
    readers = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if "TRANSITIONS" in path.read_text(encoding="utf-8")
    }
    masks = {"inference/budget.py", "inference/reference.py", "rl/policy_logprobs.py"}
    assert readers <= {"format/grammar.py", "format/parser.py"} | masks
    assert TRANSITIONS[GrammarState.BEGIN][0] == GrammarState.STEP
