"""A slow reference of the engine, for tests: one request, greedy, no cache, no tensors in the mask.

Request -> token ids, log-probabilities

Runs the model's own forward over all tokens so far for every token, and finds the allowed tokens by
parsing the completion so far. Shares only constants with budget.py.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel

from steiner.format import grammar
from steiner.format.grammar import TRANSITIONS, GrammarState
from steiner.format.parser import parse
from steiner.format.tokenizer import Vocabulary
from steiner.inference.budget import MAX_COMPONENT_TOKENS
from steiner.inference.repetition import RepetitionDetector
from steiner.inference.request import Request

_DELAYS = (
    grammar.TEXT,
    grammar.SPECIAL_TOKENS.index(grammar.PROCEED),
    grammar.SPECIAL_TOKENS.index(grammar.BACKTRACK),
)
"""Token classes that delay the close."""
_END = grammar.SPECIAL_TOKENS.index(grammar.END)


@torch.no_grad()
def greedy(
    model: PreTrainedModel, vocabulary: Vocabulary, request: Request
) -> tuple[list[int], list[float]]:
    """The tokens that the engine must choose at temperature 0, and their log-probabilities."""
    token_ids: list[int] = []
    logprobs: list[float] = []
    class_of: list[int] | None = None
    repetition = RepetitionDetector(vocabulary)
    while not token_ids or token_ids[-1] != vocabulary.close_id:
        output: Any = model(torch.tensor([[*request.prompt_ids, *token_ids]]), use_cache=False)
        logits = output.logits[0, -1].float()
        if class_of is None:
            class_of = vocabulary.class_tensor(len(logits)).tolist()
        allowed = allowed_classes([class_of[token] for token in token_ids], request)
        ids = [token for token, token_class in enumerate(class_of) if token_class in allowed]
        scores = logits[ids].log_softmax(-1)
        best = int(scores.argmax())
        token_ids.append(ids[best])
        logprobs.append(float(scores[best]))
        if repetition.is_stuck(token_ids):
            break
    return token_ids, logprobs


def allowed_classes(classes: list[int], request: Request) -> set[int]:
    """The token classes that may come next after these."""
    state = parse(classes).state if request.reasoning else GrammarState.ANSWER
    allowed = _following(state)
    left = request.budget.max_tokens - len(classes)
    if _is_late(state, left, request) or _run_of_text(classes, state) >= MAX_COMPONENT_TOKENS:
        return allowed - set(_DELAYS)
    if state is not GrammarState.DECISION:
        return allowed
    steps = len(parse(classes).spans)
    if request.budget.max_steps is not None and steps >= request.budget.max_steps:
        return {_END}
    return allowed - {_END} if steps < request.budget.min_steps else allowed


def _following(state: GrammarState) -> set[int]:
    return {c for c, after in enumerate(TRANSITIONS[state]) if after != GrammarState.BROKEN}


def _is_late(state: GrammarState, left: int, request: Request) -> bool:
    """True if a token that delays the close would leave too few tokens for it."""
    delayed = [TRANSITIONS[state][c] for c in _following(state) & set(_DELAYS)]
    if not delayed:
        return False
    to_close = _tokens_to_close(GrammarState(delayed[0]))
    if state is GrammarState.ANSWER:
        return left - 1 < to_close
    budget = request.budget
    reasoning_left = left
    if budget.max_reasoning_tokens is not None:
        reasoning_left = budget.max_reasoning_tokens - (budget.max_tokens - left)
    return left - 1 < to_close + budget.reserve or reasoning_left - 1 < to_close - 1


def _tokens_to_close(state: GrammarState) -> int:
    """Fewest tokens from this state to the close."""
    count = 0
    while state is not GrammarState.DONE:
        (onward,) = _following(state) - set(_DELAYS)
        state = GrammarState(TRANSITIONS[state][onward])
        count += 1
    return count


def _run_of_text(classes: list[int], state: GrammarState) -> int:
    """Tokens of the unfinished component; 0 in an answer, which only max_tokens bounds."""
    if state is GrammarState.ANSWER:
        return 0
    run = 0
    while run < len(classes) and classes[-1 - run] == grammar.TEXT:
        run += 1
    return run
