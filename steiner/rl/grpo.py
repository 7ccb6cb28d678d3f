"""Reinforcement learning: GRPO with an advantage for each token, from the outcome and each step.

sft/ -> rl/ (model folder), logs/rl/trainer_state.json with the history of all metrics

TRL's GRPOTrainer optimises on our rollouts (rl/rollout_groups.py). Four of its methods are
replaced: `_generate_and_score_completions` adds the step advantage of each token to GRPO's
advantage of the rollout (rl/rewards.py); `_get_per_token_logps_and_entropies` computes
log-probabilities under the grammar that tokens are sampled with (rl/policy_logprobs.py);
`_prepare_inputs` puts rollouts of similar length into one batch; `_compute_loss` logs how far the
log-probabilities of the rollouts are from the trainer's. These differ where a server or a bf16 copy
of the weights wrote the rollouts; the importance ratio is then to the rollouts' own. Tokens that
grammar or budget forced carry no loss. With `step_reward_weight = 0`, the advantages equal Dr.
GRPO's.

    steiner train rl --recipe tiny
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from steiner.dags.source import DagSource, dags_of_run
from steiner.data.batching import padded_length
from steiner.format.tokenizer import Vocabulary
from steiner.models.loading import without_checkpointing_warning
from steiner.models.logits import logits_of
from steiner.models.precision import wants_bf16
from steiner.models.saving import save_adapter
from steiner.models.sources import ADAPTER
from steiner.processes import process_state
from steiner.recipe import Recipe
from steiner.rl.length_batching import by_length
from steiner.rl.policy_logprobs import GrammarPolicy
from steiner.rl.recipe_checks import check_rl
from steiner.rl.rollout_backend import rollout_backend
from steiner.rl.rollout_function import Rollouts
from steiner.rl.rollout_groups import RolloutGroupSource
from steiner.rl.rollout_mismatch import RolloutMismatch
from steiner.training.attention import BatchShape, choose_attention
from steiner.training.checkpoints import AdapterCheckpoints, last_checkpoint, save_trained
from steiner.training.lora import load_for_training, lora
from steiner.training.losses import forward_replaced
from steiner.training.optimizers import build_optimizer
from steiner.training.progress_callback import show_progress
from steiner.types import UserError

_SHOWN = ("reward", "accuracy", "steps", "tokens", "malformed_rate", "backtrack_rate")
_WEIGHTS = "vllm_weights"
"""Folder through which a server gets weights, while it trains."""


def train(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    """Trains `run_dir/sft` by RL into `out_dir`; resumes from its last checkpoint."""
    model, tokenizer = load_for_training(run_dir / "sft", recipe.rl)
    with lora(model, tokenizer, recipe.rl.lora_rank, recipe.seed) as adapted:
        trainer = build_trainer(recipe, model, tokenizer, out_dir, dags_of_run(run_dir))
        trainer.train(resume_from_checkpoint=last_checkpoint(out_dir))
        trainer.rollouts.written_by.close()
        if adapted and trainer.is_world_process_zero():
            save_adapter(adapted, tokenizer, out_dir / ADAPTER)
    save_trained(trainer, model, tokenizer, out_dir)


def build_trainer(
    recipe: Recipe,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    out_dir: Path,
    dags: DagSource,
) -> StepGRPOTrainer:
    """The trainer, ready to run; RolloutGroupSource draws the problems."""
    processes = process_state()
    check_rl(recipe, processes.num_processes)
    vocabulary = Vocabulary.require(tokenizer)
    bf16 = wants_bf16(recipe.rl.precision)
    choose_attention(model, recipe.rl.attention, _batch_shape(recipe), out_dir, bf16=bf16)
    written_by = rollout_backend(recipe.rl, model, vocabulary, out_dir / _WEIGHTS)
    policy = GrammarPolicy(vocabulary, model.get_output_embeddings().weight.shape[0])
    source = RolloutGroupSource(
        recipe,
        vocabulary,
        written_by.backend,
        dags,
        rank=processes.process_index,
        num_processes=processes.num_processes,
    )
    rollouts = Rollouts(policy, source, written_by)
    with warnings.catch_warnings():
        # TRL calls `rollout_func` experimental whenever it is used; no setting turns that off.
        warnings.filterwarnings("ignore", message=".*rollout_func", category=UserWarning)
        trainer = StepGRPOTrainer(
            model=model,
            reward_funcs=[rollouts.outcome],
            args=_arguments(recipe, out_dir),
            train_dataset=Dataset.from_dict({"prompt": [""] * _num_groups(recipe)}),
            processing_class=tokenizer,
            optimizers=(_optimizer(recipe, model), None),
            rollout_func=rollouts,
        )
    trainer.trains_lora = bool(recipe.rl.lora_rank)
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        hint = "start it with plain data parallelism: recipes/accelerate/ddp.yaml"
        raise UserError("RL needs the whole weights on each device, not sharded ones", hint)
    show_progress(trainer, "rl", _shown)
    return trainer


def _batch_shape(recipe: Recipe) -> BatchShape:
    """Of the rollouts that a process trains on at once, if they are half as long as they may be."""
    rows, _ = _batching(recipe, process_state().num_processes)
    return BatchShape(rows, padded_length(max(1, recipe.rl.max_tokens // 2)), left_padded=True)


class StepGRPOTrainer(AdapterCheckpoints, GRPOTrainer):
    """GRPOTrainer with advantages (B, T); the module's docstring explains what it replaces."""

    _has_old_logprobs = False
    """True while rollouts are scored that have log-probabilities of their own."""

    @property
    def rollouts(self) -> Rollouts:
        """The `rollout_func` of `build_trainer`."""
        assert isinstance(self.rollout_func, Rollouts)
        return self.rollout_func

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """As TRL's; then each token's advantage is its rollout's plus its step's."""
        self._has_old_logprobs = self.rollouts.written_by.has_own_logprobs
        try:
            with without_checkpointing_warning():
                output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        finally:
            self._has_old_logprobs = False
        step_BT = torch.zeros(output["completion_ids"].shape, device=output["advantages"].device)
        for row, given in enumerate(inputs):
            step_T = torch.tensor(given["step_advantage"])
            step_BT[row, : len(step_T)] = step_T
        output["advantages"] = output["advantages"][:, None] + step_BT
        if "sampling_per_token_logps" in output:  # what the rollouts were really drawn from
            output["old_per_token_logps"] = output["sampling_per_token_logps"]
        output["row"] = torch.arange(len(inputs), device=step_BT.device)
        return output

    def _get_per_token_logps_and_entropies(
        self,
        model: torch.nn.Module,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """As TRL's, among the tokens that the grammar allows.

        If rollouts bring their own log-probabilities, TRL still asks for the model's before its
        update. It would replace them, so they are not computed.
        """
        if self._has_old_logprobs and model is self.model:  # not the reference of the KL divergence
            unused_BT = torch.zeros(len(input_ids), logits_to_keep, device=input_ids.device)
            return unused_BT, unused_BT, None
        found = []
        for start in range(0, len(input_ids), batch_size or len(input_ids)):
            rows = slice(start, start + (batch_size or len(input_ids)))
            own: Any = self.accelerator.unwrap_model(model)
            with forward_replaced(own, self._logprobs), self.accelerator.autocast():
                found.append(model(input_ids[rows], attention_mask[rows], logits_to_keep))
        logprobs, entropies = map(torch.cat, zip(*found, strict=True))
        self._latest_logprobs = logprobs.detach()
        return logprobs, entropies, None

    def _compute_loss(
        self, model: torch.nn.Module, inputs: dict[str, torch.Tensor]
    ) -> torch.Tensor:
        """As TRL's; then logs how far the rollouts' log-probabilities are from the trainer's."""
        loss: torch.Tensor = super()._compute_loss(model, inputs)  # type: ignore[no-untyped-call]
        if "sampling_per_token_logps" in inputs:
            self._log_mismatch(inputs)
        return loss

    def _log_mismatch(self, inputs: Mapping[str, torch.Tensor]) -> None:
        """Only before the first update on a batch of rollouts does the trainer have the weights
        that the rollouts may have been written with."""
        assert isinstance(self.args, GRPOConfig)
        assert self.args.steps_per_generation is not None
        micro_step = self._step % self.args.steps_per_generation
        if micro_step >= self.args.gradient_accumulation_steps:
            return
        if micro_step == 0:
            self._mismatch = RolloutMismatch(self.accelerator.gather)
        chosen_BT = (inputs["completion_mask"] * inputs["tool_mask"]).bool()
        self._mismatch.add(inputs["sampling_per_token_logps"], self._latest_logprobs, chosen_BT)
        for name, value in self._mismatch.metrics().items():
            self._metrics["train"][name] = [value]

    def _logprobs(
        self,
        model: PreTrainedModel,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        count: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-probabilities and entropies of the last `count` tokens of each row."""
        hidden_BTD = model.get_decoder()(
            input_ids=input_ids, attention_mask=attention_mask, use_cache=False
        ).last_hidden_state[:, -count - 1 : -1]
        head, ids_BT = partial(logits_of, model), input_ids[:, -count:]
        return self.rollouts.policy.logprobs(head, hidden_BTD, ids_BT, self.temperature)

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        """As TRL's; then the rows are regrouped by length, with little padding."""
        before = self._buffered_inputs
        inputs: dict[str, Any] = super()._prepare_inputs(generation_batch)
        if self._buffered_inputs is before or self._buffered_inputs is None:
            return inputs
        num_updates = len(self._buffered_inputs) // self.args.gradient_accumulation_steps
        self._buffered_inputs = by_length(self._buffered_inputs, num_updates)
        dealt: dict[str, Any] = self._buffered_inputs[self._step % len(self._buffered_inputs)]
        return dealt


def _shown(logs: Mapping[str, Any]) -> list[str]:
    """The metrics that a person follows, as text; none of a log without them."""
    if "accuracy" not in logs:
        return []
    names = [*_SHOWN, *(name for name in logs if name.startswith("accuracy/"))]
    return [f"{name} {logs[name]:.3g}" for name in names if name in logs]


def _num_groups(recipe: Recipe) -> int:
    return recipe.rl.steps * recipe.rl.problems_per_step


def _optimizer(recipe: Recipe, model: PreTrainedModel) -> torch.optim.Optimizer | None:
    """Muon with AdamW where the recipe gives Muon a rate; else None, for TRL's own AdamW."""
    if not recipe.rl.muon_lr:
        return None
    return build_optimizer(model, muon_lr=recipe.rl.muon_lr, adam_lr=recipe.rl.lr)


def _batching(recipe: Recipe, num_processes: int) -> tuple[int, int]:
    """Rollouts a process takes at once, and how often it does so for one optimiser step."""
    rl = recipe.rl
    rollouts = rl.problems_per_step // num_processes * rl.rollouts_per_problem
    largest = min(rollouts, rl.rollouts_per_batch)
    at_once = next(size for size in range(largest, 0, -1) if rollouts % size == 0)
    return at_once, rollouts // at_once


def _arguments(recipe: Recipe, out_dir: Path) -> GRPOConfig:
    rl = recipe.rl
    use_cpu = not torch.cuda.is_available()
    rollouts_at_once, accumulate = _batching(recipe, process_state().num_processes)
    return GRPOConfig(
        output_dir=str(out_dir),
        max_steps=rl.steps,
        per_device_train_batch_size=rollouts_at_once,
        gradient_accumulation_steps=accumulate,
        steps_per_generation=accumulate * rl.updates_per_generation,
        num_generations=rl.rollouts_per_problem,
        max_completion_length=rl.max_tokens,
        temperature=rl.temperature,
        loss_type=rl.loss_type,
        beta=rl.kl_beta,
        scale_rewards="none",  # Dr. GRPO: see docs/reward.md
        learning_rate=rl.lr,
        lr_scheduler_type="linear",
        warmup_steps=int(rl.warmup_fraction * rl.steps),
        max_grad_norm=1.0,
        bf16=wants_bf16(rl.precision),
        activation_checkpointing=rl.activation_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        seed=recipe.seed,
        logging_steps=1,  # a family's accuracy is read from the log at the next step
        save_steps=rl.save_every_steps,
        save_total_limit=2,
        report_to=[] if rl.report_to == "none" else rl.report_to.split(","),
        use_cpu=use_cpu,
        dataloader_pin_memory=not use_cpu,
        remove_unused_columns=False,
    )
