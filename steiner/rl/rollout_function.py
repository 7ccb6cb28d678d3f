"""The `rollout_func` of TRL's GRPOTrainer, and its reward function.

number of prompts -> columns of rollouts: tokens, log-probabilities, outcomes, step advantages
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trl.trainer.grpo_trainer import GRPOTrainer

from steiner.rl.policy_logprobs import GrammarPolicy
from steiner.rl.rollout_backend import ModelBackend
from steiner.rl.rollout_groups import RolloutGroup, RolloutGroupSource, group_metrics, most_varied


@dataclass(slots=True)
class Rollouts:
    """TRL's `rollout_func` and its reward function, on top of a RolloutGroupSource."""

    policy: GrammarPolicy
    source: RolloutGroupSource
    written_by: ModelBackend
    """Log-probabilities that are not its own are left out of the rollouts: they are the trainer's,
    and the ratio is exactly 1 in the first update."""
    measured: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, prompts: Sequence[Any], trainer: GRPOTrainer) -> dict[str, Any]:
        """One row a rollout, group after group; of `prompts` only the number counts."""
        count = len(prompts) // self.source.recipe.rl.rollouts_per_problem
        self.written_by.before_rollouts(trainer.state.global_step)
        groups = self.source.sample(count, trainer.state.log_history, trainer.state.global_step)
        self.measured = group_metrics(groups)
        rows = [row for group in most_varied(groups, count) for row in self._rows(group)]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return columns if self.written_by.has_own_logprobs else columns | {"logprobs": None}

    def outcome(self, outcome: list[float | None], log_metric: Any, **_: Any) -> list[float | None]:
        """The outcomes as they came; logs what was measured on the way."""
        for name, value in self.measured.items():
            log_metric(name, value)
        return outcome

    def _rows(self, group: RolloutGroup) -> list[dict[str, Any]]:
        rl = self.source.recipe.rl
        return [
            {
                "prompt_ids": list(rollout.prompt_ids),
                "completion_ids": list(rollout.token_ids),
                "logprobs": list(rollout.logprobs),
                "env_mask": [int(not forced) for forced in rollout.forced],
                "outcome": score.outcome,
                "step_advantage": advantage_T,
            }
            for rollout, score, advantage_T in zip(
                group.rollouts_G,
                group.scores_G,
                group.step_advantages_GT(rl.step_reward_weight),
                strict=True,
            )
        ]
