"""verl's layout, written out by hand."""

from __future__ import annotations

import pytest
import torch

from steiner.rl.rollout_file import ScoredRollout
from steiner.rl.verl_batch import verl_batch
from steiner.types import UserError

LONG = ScoredRollout(
    group_id="0-a",
    family="jugs",
    problem_key="a",
    prompt_ids=(11, 12, 13),
    response_ids=(1, 2, 3),
    response_mask=(0, 1, 1),
    logprobs=(0.0, -1.0, -2.0),
    rewards=(0.0, 0.25, 1.0),
    advantages=(0.5, 0.75, 0.5),
    outcome=1.0,
    right=True,
)
SHORT = ScoredRollout(
    group_id="0-a",
    family="jugs",
    problem_key="a",
    prompt_ids=(14,),
    response_ids=(4, 5),
    response_mask=(0, 1),
    logprobs=(0.0, -3.0),
    rewards=(0.0, -1.0),
    advantages=(-0.5, -0.5),
    outcome=-1.0,
    right=False,
)
BY_HAND = {
    "prompts": [[11, 12, 13], [9, 9, 14]],
    "responses": [[1, 2, 3], [4, 5, 9]],
    "response_mask": [[0, 1, 1], [0, 1, 0]],
    "input_ids": [[11, 12, 13, 1, 2, 3], [9, 9, 14, 4, 5, 9]],
    "attention_mask": [[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 0]],
    "position_ids": [[0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 2, 2]],
    "rollout_log_probs": [[0.0, -1.0, -2.0], [0.0, -3.0, 0.0]],
    "old_log_probs": [[0.0, -1.0, -2.0], [0.0, -3.0, 0.0]],
    "token_level_scores": [[0.0, 0.25, 1.0], [0.0, -1.0, 0.0]],
    "token_level_rewards": [[0.0, 0.25, 1.0], [0.0, -1.0, 0.0]],
    "advantages": [[0.0, 0.75, 0.5], [0.0, -0.5, 0.0]],
    "returns": [[0.0, 0.75, 0.5], [0.0, -0.5, 0.0]],
}


def test_layout() -> None:
    batch = verl_batch([LONG, SHORT], pad_id=9)
    assert {name: value.tolist() for name, value in batch.tensors.items()} == BY_HAND
    for name, value in batch.tensors.items():
        is_float = isinstance(BY_HAND[name][0][0], float)
        assert value.dtype == (torch.float32 if is_float else torch.int64), name
    assert batch.non_tensors["uid"].tolist() == ["0-a", "0-a"]
    assert batch.non_tensors["data_source"].dtype == object


def test_given_lengths() -> None:
    batch = verl_batch([SHORT], pad_id=9, prompt_length=2, response_length=4)
    assert batch.tensors["prompts"].tolist() == [[9, 14]]
    assert batch.tensors["responses"].tolist() == [[4, 5, 9, 9]]
    assert batch.tensors["attention_mask"].tolist() == [[0, 1, 1, 1, 0, 0]]
    for lengths in ({"prompt_length": 2}, {"response_length": 2}):
        with pytest.raises(UserError, match="and a rollout has 3"):
            verl_batch([LONG], pad_id=9, **lengths)
