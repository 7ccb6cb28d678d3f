"""Scored rollouts as Parquet, for other RL engines and for reading.

RolloutGroups <-> rows of a Parquet file, one row a rollout, lists of T tokens in plain columns

`datasets.load_dataset("parquet", ...)` opens it. rl/verl_batch.py makes verl's tensors of it.

    steiner rollouts runs/tiny/sft --out rollouts.parquet
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from steiner.files import reason_and_hint, replacing
from steiner.rl.credit_assignment import StepTokens
from steiner.rl.rewards import StepReward
from steiner.rl.rollout_groups import RolloutGroup
from steiner.types import UserError

_MAKE = "make it with `steiner rollouts`"
_IDS, _NUMBERS = pa.list_(pa.int32()), pa.list_(pa.float32())
SCHEMA = pa.schema(
    [
        ("group_id", pa.string()),
        ("family", pa.string()),
        ("problem_key", pa.string()),
        ("prompt_ids", _IDS),
        ("response_ids", _IDS),
        ("response_mask", pa.list_(pa.int8())),
        ("logprobs", _NUMBERS),
        ("rewards", _NUMBERS),
        ("advantages", _NUMBERS),
        ("outcome", pa.float32()),
        ("right", pa.bool_()),
    ]
)


@dataclass(frozen=True, slots=True)
class ScoredRollout:
    """A rollout of T response tokens with what an RL engine learns from."""

    group_id: str
    """Equal for the rollouts that are compared with each other."""
    family: str
    problem_key: str
    prompt_ids: tuple[int, ...]
    response_ids: tuple[int, ...]
    response_mask: tuple[int, ...]
    """(T,) 1 for tokens that the model chose, 0 for those that format or budget forced."""
    logprobs: tuple[float, ...]
    """(T,) under the masked sampling distribution."""
    rewards: tuple[float, ...]
    """(T,) step rewards, weighted, at the tokens that earned them; the outcome at the last."""
    advantages: tuple[float, ...]
    """(T,) as GRPO uses them here: the outcome less its group's mean, plus the step's."""
    outcome: float
    right: bool


def scored_rollouts(
    groups: Sequence[RolloutGroup], step_reward_weight: float
) -> Iterator[ScoredRollout]:
    """The rollouts of all groups, in their order."""
    for number, group in enumerate(groups):
        mean = fmean(score.outcome for score in group.scores_G)
        for rollout, score, places, step_T in zip(
            group.rollouts_G,
            group.scores_G,
            group.step_tokens_G,
            group.step_advantages_GT(step_reward_weight),
            strict=True,
        ):
            rewards_T = token_rewards(len(rollout.token_ids), places, score.steps)
            rewards_T = [step_reward_weight * reward for reward in rewards_T]
            rewards_T[-1] += score.outcome
            yield ScoredRollout(
                group_id=f"{number}-{group.problem.key}",
                family=group.problem.family,
                problem_key=group.problem.key,
                prompt_ids=rollout.prompt_ids,
                response_ids=rollout.token_ids,
                response_mask=tuple(int(not forced) for forced in rollout.forced),
                logprobs=rollout.logprobs,
                rewards=tuple(rewards_T),
                advantages=tuple(score.outcome - mean + step for step in step_T),
                outcome=score.outcome,
                right=score.right,
            )


def token_rewards(
    num_tokens: int, places: Sequence[StepTokens], steps: Sequence[StepReward]
) -> list[float]:
    """Step rewards (T,) at single tokens: a choice's at the last token that names the next step, a
    fault's at the first wrong token, a decision's at its token. A reward without a place, such as
    that of a decision that was never written, is left out, as its advantage is."""
    rewards_T = [0.0] * num_tokens
    for place, step in zip(places, steps, strict=True):
        if place.choice:
            rewards_T[place.choice[-1]] += step.choice
        if place.fault is not None:
            rewards_T[place.fault] += step.fault
        if place.decision is not None:
            rewards_T[place.decision] += step.decision
    return rewards_T


def write_rollouts(path: Path, rollouts: Sequence[ScoredRollout]) -> None:
    """Writes them, whole or not at all."""
    table = pa.Table.from_pylist([asdict(rollout) for rollout in rollouts], SCHEMA)
    with replacing(path) as partial:
        pq.write_table(table, partial)


def read_rollouts(path: Path) -> list[ScoredRollout]:
    """Reads them back. Raises UserError if the file holds anything else."""
    try:
        with pq.ParquetFile(path) as file:
            if not file.schema_arrow.equals(SCHEMA):
                raise UserError(f"cannot read rollouts from {path}: its columns are others", _MAKE)
            rows = file.read().to_pylist()
    except (OSError, pa.ArrowException) as error:
        reason, hint = reason_and_hint(error, _MAKE)
        raise UserError(f"cannot read rollouts from {path}: {reason}", hint) from error
    return list(map(_record, rows))


def _record(row: Mapping[str, Any]) -> ScoredRollout:
    lists = {name: tuple(value) for name, value in row.items() if isinstance(value, list)}
    return ScoredRollout(**{**row, **lists})
