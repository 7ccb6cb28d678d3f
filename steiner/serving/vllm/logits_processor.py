"""vLLM's logits processor for the format and the step budget, on whichever model runner it has.

SamplingParams.extra_args (REST: vllm_xargs) min_steps, max_steps -> a completion within them

    vllm serve MODEL --logits-processors steiner.serving.vllm.logits_processor:StepBudget

vLLM has two model runners with an interface each, picks one by version, platform and options, and
its loaders refuse a class of the other kind. So this class is of both kinds, and hands everything
to the half that fits the runner which made it.
"""

from __future__ import annotations

from typing import Any

import torch
from vllm.tokenizers import cached_tokenizer_from_config
from vllm.v1.sample.logits_processor import LogitsProcessor as ProcessorOnV1

from steiner.format.tokenizer import Vocabulary
from steiner.serving.vllm.batch_constraints import SlotBudgetMask, budget_of
from steiner.serving.vllm.runner_v1 import V1RunnerBudget
from steiner.serving.vllm.runner_v2 import V2RunnerBudget
from steiner.types import UserError

try:
    from vllm.v1.worker.gpu.sample.logits_processor import LogitsProcessor as ProcessorOnV2
except ImportError:  # a vLLM without that runner

    class ProcessorOnV2:  # type: ignore[no-redef]
        """Stands in for the interface that this vLLM lacks."""


class StepBudget(ProcessorOnV1, ProcessorOnV2):  # type: ignore[misc]
    """Lets every request follow the format within its own budget."""

    def __init__(self, config: Any, *runner: Any) -> None:
        """`runner` is (device, whether memory is pinned) on V1, (its request states,) on V2."""
        if config.speculative_config is not None:
            raise ValueError("the step budget does not work with speculative decoding")
        max_length = config.model_config.max_model_len
        self._half: Any
        if len(runner) == 1:
            (states,) = runner
            limits = _limits(config, states.max_num_reqs, states.device)
            self._half = V2RunnerBudget(limits, states, max_length)
        else:
            num_slots = config.scheduler_config.max_num_seqs
            self._half = V1RunnerBudget(
                _limits(config, num_slots, runner[0]), num_slots, max_length
            )

    @classmethod
    def validate_params(cls, params: Any) -> None:
        """Refuses, by a ValueError, a budget that nothing could keep to."""
        try:
            budget_of(params.extra_args, params.max_tokens)
        except UserError as error:
            raise ValueError(f"{error}; {error.hint}") from error

    def is_argmax_invariant(self) -> bool:
        """No: the likeliest token may be one that is not allowed."""
        return False

    def update_state(self, update: Any) -> None:
        """On V1: how the batch has changed."""
        self._half.update_state(update)

    def add_request(self, slot: int, params: Any) -> bool:
        """On V2: a request enters a slot."""
        return bool(self._half.add_request(slot, params))

    def apply(self, logits_BV: torch.Tensor, *context: Any) -> torch.Tensor:
        """On either, before a token is chosen for each row."""
        allowed_BV: torch.Tensor = self._half.apply(logits_BV, *context)
        return allowed_BV


def _limits(config: Any, num_slots: int, device: torch.device) -> SlotBudgetMask:
    tokenizer = cached_tokenizer_from_config(config.model_config)
    if tokenizer is None:
        raise ValueError("the step budget needs the tokenizer: leave out --skip-tokenizer-init")
    vocabulary = Vocabulary.require(tokenizer)
    return SlotBudgetMask(vocabulary, config.model_config.get_vocab_size(), num_slots, device)
