"""Completions that repeat themselves are stopped; those that only revisit steps are not."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
from transformers import GPTNeoXForCausalLM

from steiner.format import grammar
from steiner.format.tokenizer import Vocabulary
from steiner.inference.answer import build_answer
from steiner.inference.backends import EngineBackend, RolloutBackend, TransformersBackend
from steiner.inference.budget import Budget
from steiner.inference.repetition import (
    MAX_CYCLES,
    MAX_REPEATED_STEPS,
    MIN_CYCLE_TOKENS,
    RepetitionDetector,
    ends_in_cycle,
)
from steiner.inference.request import Request
from steiner.inference.search_tree import Mark
from steiner.types import Rollout, StopReason


def _step(vocabulary: Vocabulary, text: str, decision: str = grammar.PROCEED) -> list[int]:
    """The token ids of a step with the same text in each component."""
    special = dict(zip(grammar.SPECIAL_TOKENS, vocabulary.special_ids, strict=True))
    ids = [special[grammar.STEP_START]]
    for name in grammar.COMPONENTS:
        ids.append(special[f"<|reasoning_step_{name}_start|>"])
        ids += vocabulary.encode_text(text)
        ids.append(special[f"<|reasoning_step_{name}_end|>"])
    return [*ids, special[grammar.STEP_END], special[decision]]


def _stuck_at(vocabulary: Vocabulary, token_ids: Sequence[int]) -> int | None:
    """The number of tokens after which the detector stops the completion."""
    detector = RepetitionDetector(vocabulary)
    lengths = range(1, len(token_ids) + 1)
    return next((n for n in lengths if detector.is_stuck(token_ids[:n])), None)


@pytest.mark.parametrize("cycle", [["a"], ["a", "b"], ["a", "b", "take"]])
def test_copied_steps_in_a_row_stop_the_search(vocabulary: Vocabulary, cycle: list[str]) -> None:
    texts = (cycle * 40)[: len(cycle) + MAX_REPEATED_STEPS]
    steps = [_step(vocabulary, text) for text in texts]
    ids = [vocabulary.special_ids[0], *(token for step in steps for token in step)]
    assert _stuck_at(vocabulary, ids) == len(ids)
    assert _stuck_at(vocabulary, ids[:-1]) is None


def test_a_search_that_does_something_new_goes_on(vocabulary: Vocabulary) -> None:
    old = ["a"] * (MAX_REPEATED_STEPS - 1)
    texts = ["a", *old, "take 1", *old, "take 2", *old]
    steps = [_step(vocabulary, text, grammar.BACKTRACK) for text in texts]
    ids = [vocabulary.special_ids[0], *(token for step in steps for token in step)]
    assert _stuck_at(vocabulary, ids) is None


def test_the_same_texts_with_another_decision_are_no_copy(vocabulary: Vocabulary) -> None:
    decisions = [grammar.PROCEED, grammar.BACKTRACK]
    detector = RepetitionDetector(vocabulary)
    ids = [vocabulary.special_ids[0]]
    for decision in decisions:
        ids += _step(vocabulary, "a", decision)
        detector.is_stuck(ids)
    assert detector._num_repeated == 0


@pytest.mark.parametrize("period", [1, 3, 24, 64])
def test_an_answer_that_runs_in_a_circle_is_stopped(vocabulary: Vocabulary, period: int) -> None:
    run = list(range(100, 100 + period))
    copies = max(MAX_CYCLES, -(-MIN_CYCLE_TOKENS // period)) + 1
    assert ends_in_cycle([7, 8, 9, *run * copies])
    assert not ends_in_cycle([*run * copies, 7])
    assert not ends_in_cycle(list(range(600)))
    stop = _stuck_at(vocabulary, [5, *run * (copies + 16)])
    assert stop is not None


@pytest.fixture(scope="module")
def looping_model(vocabulary: Vocabulary, neox: GPTNeoXForCausalLM) -> GPTNeoXForCausalLM:
    """A model that writes empty steps and proceeds after each, for ever."""
    model = copy.deepcopy(neox)
    proceed = vocabulary.special_ids[grammar.SPECIAL_TOKENS.index(grammar.PROCEED)]
    with torch.no_grad():
        model.gpt_neox.final_layer_norm.weight.zero_()
        model.gpt_neox.final_layer_norm.bias.fill_(1.0)
        head_VD = model.get_output_embeddings().weight
        head_VD.zero_()
        head_VD[list(vocabulary.special_ids)] = 0.1
        head_VD[proceed] = 0.2
    return model


@pytest.fixture(params=[EngineBackend, TransformersBackend])
def stopped(
    request: pytest.FixtureRequest, vocabulary: Vocabulary, looping_model: GPTNeoXForCausalLM
) -> Rollout:
    backend: RolloutBackend = request.param(looping_model, vocabulary)
    (rollout,) = backend.generate([Request((1, 2), Budget(max_tokens=2000))])
    return rollout


def test_a_looping_model_is_stopped_without_an_answer(stopped: Rollout) -> None:
    assert stopped.stop_reason is StopReason.REPETITION
    assert len(stopped.steps) == MAX_REPEATED_STEPS + 1
    assert not stopped.well_formed
    assert (stopped.answer, stopped.answer_span) == ("", None)


def test_a_stopped_search_is_marked_as_stopped(vocabulary: Vocabulary, stopped: Rollout) -> None:
    answer = build_answer([stopped], None, vocabulary)
    assert answer.stop_reason is StopReason.REPETITION
    assert answer.text == ""
    assert answer.tree.nodes[-1].mark is not Mark.GOAL
