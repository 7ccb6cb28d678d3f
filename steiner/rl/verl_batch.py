"""Scored rollouts in the layout of verl's DataProto, for its trainers on many machines.

ScoredRollouts -> tensors (B, P), (B, T) and (B, P + T), and arrays (B,) of objects

The layout is that of verl 0.9: prompts are padded on the left and responses on the right;
`input_ids` is both side by side; `response_mask` is 0 for tokens that the model did not choose and
for padding. Needs no verl: `DataProto.from_dict(batch.tensors, batch.non_tensors)` takes it.

`old_log_probs` are those of the masked distribution that the tokens were drawn from. verl's actor
computes log-probabilities over the whole vocabulary, so let it compute `old_log_probs` again (its
default), and keep `rollout_log_probs` for its metrics.

    batch = verl_batch(read_rollouts(Path("rollouts.parquet")), pad_id=tokenizer.pad_token_id)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from steiner.rl.rollout_file import ScoredRollout
from steiner.types import UserError


@dataclass(frozen=True, slots=True)
class VerlBatch:
    """What DataProto.from_dict takes, for B rollouts."""

    tensors: dict[str, torch.Tensor]
    non_tensors: dict[str, np.ndarray]


def verl_batch(
    rollouts: Sequence[ScoredRollout],
    pad_id: int,
    *,
    prompt_length: int | None = None,
    response_length: int | None = None,
) -> VerlBatch:
    """The batch. Lengths are those of the longest rollout unless given, as verl's
    `data.max_prompt_length` and `data.max_response_length` are. Raises UserError if one is too
    short."""

    def prompt(column: Callable[[ScoredRollout], Sequence[float]], pad: float) -> torch.Tensor:
        rows = list(map(column, rollouts))
        return _padded(rows, prompt_length, pad, "prompt_length", left=True)

    def response(column: Callable[[ScoredRollout], Sequence[float]], pad: float) -> torch.Tensor:
        return _padded(list(map(column, rollouts)), response_length, pad, "response_length")

    prompts_BP = prompt(lambda one: one.prompt_ids, pad_id)
    real_BP = prompt(lambda one: [1] * len(one.prompt_ids), 0)
    responses_BT = response(lambda one: one.response_ids, pad_id)
    attention_mask = torch.cat([real_BP, response(lambda one: [1] * len(one.response_ids), 0)], 1)
    logprobs_BT = response(lambda one: one.logprobs, 0.0)
    rewards_BT = response(lambda one: one.rewards, 0.0)
    mask_BT = response(lambda one: one.response_mask, 0)
    advantages_BT = response(lambda one: one.advantages, 0.0) * mask_BT
    tensors = {
        "prompts": prompts_BP,
        "responses": responses_BT,
        "response_mask": mask_BT,
        "input_ids": torch.cat([prompts_BP, responses_BT], 1),
        "attention_mask": attention_mask,
        "position_ids": (attention_mask.cumsum(1) - 1).clamp(min=0),
        "rollout_log_probs": logprobs_BT,
        "old_log_probs": logprobs_BT.clone(),
        "token_level_scores": rewards_BT,
        "token_level_rewards": rewards_BT.clone(),
        "advantages": advantages_BT,
        "returns": advantages_BT.clone(),  # as verl's estimators without a critic return them
    }
    non_tensors = {
        "uid": np.array([one.group_id for one in rollouts], dtype=object),
        "data_source": np.array([one.family for one in rollouts], dtype=object),
    }
    return VerlBatch(tensors, non_tensors)


def _padded(
    rows: Sequence[Sequence[float]],
    length: int | None,
    pad: float,
    name: str,
    *,
    left: bool = False,
) -> torch.Tensor:
    """The rows as one tensor (B, length), of the type of `pad`: int64 or float32."""
    longest = max(map(len, rows), default=0)
    length = longest if length is None else length
    if longest > length:
        raise UserError(f"{name} is {length}, and a rollout has {longest}", "give a larger one")
    dtype = torch.float32 if isinstance(pad, float) else torch.int64
    padded = torch.full((len(rows), length), pad, dtype=dtype)
    for row, values in enumerate(rows):
        place = slice(length - len(values), length) if left else slice(len(values))
        padded[row, place] = torch.tensor(values, dtype=dtype)
    return padded
