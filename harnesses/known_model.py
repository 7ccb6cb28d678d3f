"""A tiny model that knows a few held-out problems by heart, for checking harnesses with.

lines of held_out.jsonl -> model folder

It has been shown what no honest model may see, so its accuracy says nothing. It knows a search for
each of the problems; every second one ends in another problem's answer, well-formed and wrong, so
that a harness has both kinds to tell apart and half of them right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from harnesses.held_out import problem_of
from steiner.dags.path_sampling import shortest_path
from steiner.dags.solver import build_dag
from steiner.format.codec import Codec
from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens, train_tokenizer
from steiner.randomness import random_stream
from steiner.tasks import load_phrases, tasks
from steiner.types import RunError, SearchPath

_ENOUGH_LOSS = 0.03
_MOST_STEPS = 1000
_UNSCORED = -100
"""The label that transformers leaves out of the loss."""


def write_known_model(records: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Trains the model, for some 15 s of one core. Raises RunError where it does not learn.

    `records` are an even number of turns through all tasks, so that a problem's neighbour of
    the same family is as many lines on as there are tasks.
    """
    tokenizer = train_tokenizer([text for name in tasks() for text in _wording(name)] * 20, 900)
    add_reasoning_tokens(tokenizer)
    codec = Codec(Vocabulary.require(tokenizer))
    rows = [codec.encode_path(path) for path in _paths(records)]
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=128,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=0.1,
    )
    model = Qwen2ForCausalLM(config)
    _learn_by_heart(model, [row.token_ids for row in rows], [row.loss_weights for row in rows])
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _wording(family: str) -> list[str]:
    return load_phrases(family).wording


def _paths(records: Sequence[Mapping[str, Any]]) -> list[SearchPath]:
    """A search for each problem; of two of a family, the second has the first one's answer."""
    paths: list[SearchPath] = []
    earlier: dict[str, str] = {}
    for record in records:
        problem = problem_of(record)
        path = shortest_path(build_dag(problem), random_stream("known model", problem.key))
        if (wrong := earlier.pop(problem.family, None)) is None:
            earlier[problem.family] = path.answer
        else:
            path = replace(path, answer=wrong)
        paths.append(path)
    return paths


def _learn_by_heart(
    model: Qwen2ForCausalLM,
    tokens_BT: Sequence[Sequence[int]],
    weights_BT: Sequence[Sequence[float]],
) -> None:
    """Trains on all rows at once, on what the model itself is to write."""
    longest = max(map(len, tokens_BT))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in tokens_BT])
    weights = torch.tensor([[*row, *[0.0] * (longest - len(row))] for row in weights_BT])
    labels = ids.masked_fill(weights == 0, _UNSCORED)
    optimizer = torch.optim.AdamW(model.parameters(), 6e-3, weight_decay=0.0)
    for _ in range(_MOST_STEPS):
        output = model(ids, labels=labels)
        if output.loss < _ENOUGH_LOSS and _is_greedy(output.logits, labels):
            return
        output.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    raise RunError(f"the problems were not memorised: loss {output.loss.item():.3f}")


def _is_greedy(logits_BTV: torch.Tensor, labels_BT: torch.Tensor) -> bool:
    """True if the most likely next token is right everywhere."""
    right = logits_BTV[:, :-1].argmax(-1) == labels_BT[:, 1:]
    return bool((right | (labels_BT[:, 1:] == _UNSCORED)).all())
