"""A vLLM logits processor for the format and the budget; works with both of vLLM's model runners.

SamplingParams.extra_args (REST: vllm_xargs): min_steps, max_steps, max_reasoning_tokens
    -> a completion within them; with reasoning = 0, a direct answer

    vllm serve MODEL --logits-processors steiner.serving.vllm.logits_processor:StepBudget

vLLM has two model runners with different interfaces. It picks one by version, platform and options,
and refuses a class of the other kind. So this class implements both interfaces, and passes every
call to the implementation for the runner that created it.
"""

from __future__ import annotations

from typing import Any

import torch
from vllm.tokenizers import cached_tokenizer_from_config
from vllm.v1.sample.logits_processor import LogitsProcessor as ProcessorOnV1

from steiner.format.tokenizer import Vocabulary
from steiner.serving.vllm.batch_constraints import SlotBudgetMask, budget_of, is_direct
from steiner.serving.vllm.runner_v1 import V1RunnerBudget
from steiner.serving.vllm.runner_v2 import V2RunnerBudget
from steiner.types import UserError

try:
    from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as ProcessorOnV2
except ImportError:  # a vLLM without that runner

    class ProcessorOnV2:  # type: ignore[no-redef]
        """A placeholder for the interface that this vLLM lacks."""


class StepBudget(ProcessorOnV1, ProcessorOnV2):  # type: ignore[misc]
    """Masks each request's logits by the format and the request's own budget."""

    def __init__(self, config: Any, *runner: Any) -> None:
        """`runner` is (device, memory is pinned) on V1, and (request states,) on V2."""
        if config.speculative_config is not None:
            raise ValueError("the step budget does not work with speculative decoding")
        max_length = config.model_config.max_model_len
        self._runner_budget: Any
        if len(runner) == 1:
            (states,) = runner
            mask = _mask(config, states.max_num_reqs, states.device)
            self._runner_budget = V2RunnerBudget(mask, states, max_length)
        else:
            num_slots = config.scheduler_config.max_num_seqs
            self._runner_budget = V1RunnerBudget(
                _mask(config, num_slots, runner[0]), num_slots, max_length
            )

    @classmethod
    def validate_params(cls, params: Any) -> None:
        """Raises ValueError for a budget that contradicts itself."""
        try:
            budget_of(params.extra_args, params.max_tokens)
            is_direct(params.extra_args)
        except UserError as error:
            raise ValueError(f"{error}; {error.hint}") from error

    def is_argmax_invariant(self) -> bool:
        """False: the mask can forbid the likeliest token."""
        return False

    def update_state(self, update: Any) -> None:
        """V1: applies the changes of the batch."""
        self._runner_budget.update_state(update)

    def add_request(self, slot: int, params: Any) -> bool:
        """V2: starts a request in a slot."""
        return bool(self._runner_budget.add_request(slot, params))

    def apply(self, logits_BV: torch.Tensor, *context: Any) -> torch.Tensor:
        """Both: masks the logits before a token is chosen for each row."""
        allowed_BV: torch.Tensor = self._runner_budget.apply(logits_BV, *context)
        return allowed_BV


def _mask(config: Any, num_slots: int, device: torch.device) -> SlotBudgetMask:
    tokenizer = cached_tokenizer_from_config(config.model_config)
    if tokenizer is None:
        raise ValueError("the step budget needs the tokenizer: leave out --skip-tokenizer-init")
    vocabulary = Vocabulary.require(tokenizer)
    return SlotBudgetMask(vocabulary, config.model_config.get_vocab_size(), num_slots, device)
