"""The tokens recovered from vLLM's text are those that the model wrote."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from steiner.format import grammar
from steiner.format.codec import Codec
from steiner.serving.vllm.token_recovery import num_reasoning, reasoning_ended, token_ids
from steiner.types import Decision, Message, Problem, SearchPath, Step, StepTexts

QUESTION = [Message("user", "Which?")]
TEXTS = st.lists(st.sampled_from(["a", " 1", "\n", grammar.END, grammar.STEP_END])).map("".join)
STEPS = st.lists(st.builds(StepTexts, TEXTS, TEXTS, TEXTS, TEXTS), min_size=1, max_size=3)


def completion(vocabulary, steps, answer):
    """Ids of a completion without the closing token, which vLLM leaves out of the text."""
    walk = [Step(texts, Decision.BACKTRACK, 1) for texts in steps[:-1]]
    walk.append(Step(steps[-1], Decision.END, 1))
    problem = Problem("", "", 0, "en", (), {})
    encoded = Codec(vocabulary).encode_path(SearchPath(problem, tuple(walk), answer))
    return list(encoded.token_ids[len(vocabulary.encode_prompt(())) : -1])


@given(steps=STEPS, answer=TEXTS)
def test_tokens_are_recovered_from_text(vocabulary, steps, answer):
    ids = completion(vocabulary, steps, answer)
    text = vocabulary.decode_text(ids)
    assert token_ids(text, vocabulary) == ids


def test_the_end_token_s_name_as_text_ends_nothing(vocabulary):
    steps = [StepTexts("a", f"not {grammar.END} yet", "b", "c")]
    ids = completion(vocabulary, steps, "x")
    assert token_ids(vocabulary.decode_text(ids), vocabulary) == ids
    assert num_reasoning(ids, vocabulary) == len(ids) - 1


def test_reasoning_ends_with_its_token_in_each_turn(vocabulary):
    ids = completion(vocabulary, [StepTexts("a", "b", "c", "d")], "x")
    prompt = vocabulary.encode_prompt(QUESTION)
    assert not reasoning_ended(prompt, vocabulary)
    assert not reasoning_ended(ids[:-2], vocabulary)
    for more in ([], [vocabulary.close_id]):
        assert reasoning_ended([*prompt, *ids, *more], vocabulary)
    assert not reasoning_ended([*prompt, *ids, vocabulary.close_id, *prompt], vocabulary)
    assert num_reasoning(ids[:-2], vocabulary) == len(ids) - 2
