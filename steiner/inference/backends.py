"""Rollout backends: ways to complete requests with one model.

Requests -> Rollouts

Training and evaluation take a RolloutBackend and do not know which one it is. `EngineBackend` is
the embedded engine: batched, with a shared cache. `TransformersBackend` calls the model's own
forward, one request at a time: slow, but it runs any causal language model of transformers,
recurrent ones included, and it is the reference that the engine is compared with. Both mask the
logits and draw tokens with the same code, so the same request has the same tokens on both, up to
rounding. `VllmBackend` (inference/vllm_backend.py) is a server with its own weights and sampler.

A new backend is a class with the methods of RolloutBackend. Evaluation takes it as `make_backend`;
RL and `steiner rollouts` choose it by `rl.rollouts`, in rl/rollout_backend.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch

from steiner.format.codec import Codec
from steiner.format.tokenizer import Vocabulary
from steiner.inference.budget import BudgetMask, opening_ids
from steiner.inference.engine import Engine
from steiner.inference.request import PartialRollout, Request
from steiner.inference.sampling import Sampler, top_logprobs
from steiner.models.evaluation_mode import evaluating
from steiner.types import Rollout, StopReason

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class RolloutBackend(Protocol):
    """Completes requests. Backends here use the weights that the model has when `generate` is
    called; servers use those that they got last."""

    def generate(
        self, requests: Sequence[Request], on_progress: Callable[[int], None] | None = None
    ) -> list[Rollout]:
        """The requests' rollouts, in their order. `on_progress` gets the number finished."""


EngineBackend = Engine
"""The embedded engine is a backend as it is."""


class TransformersBackend:
    """Completes requests one by one with the forward of a transformers model."""

    def __init__(self, model: PreTrainedModel, vocabulary: Vocabulary) -> None:
        self._model, self._codec = model, Codec(vocabulary)
        self._opening = opening_ids(vocabulary)

    @torch.inference_mode()
    def generate(
        self, requests: Sequence[Request], on_progress: Callable[[int], None] | None = None
    ) -> list[Rollout]:
        """The requests' rollouts, in their order. `on_progress` gets the number finished."""
        rollouts = []
        with evaluating(self._model):
            for request in requests:
                rollouts.append(self._complete(request))
                if on_progress:
                    on_progress(len(rollouts))
        return rollouts

    def _complete(self, request: Request) -> Rollout:
        written = PartialRollout(request, self._codec, self._opening)
        mask, sampler = self._row(request)
        cache: Any = None
        new_ids = [*request.prompt_ids, *written.token_ids]
        while True:
            output: Any = self._model(
                input_ids=torch.tensor([new_ids], device=self._model.device),
                past_key_values=cache,
                use_cache=True,
            )
            cache = output.past_key_values
            logits_BV = output.logits[:, -1].float() + mask.mask(1)
            token_B, logprob_B = sampler.choose(logits_BV, mask.spent(1))
            written.append(int(token_B), float(logprob_B), bool(mask.forced()))
            if request.num_top_logprobs:
                (likeliest,) = top_logprobs(logits_BV, request.num_top_logprobs)
                written.append_top_logprobs(likeliest)
            if bool(mask.advance(token_B)):
                return written.rollout(StopReason.LENGTH if mask.cut(0) else StopReason.END)
            if written.repeats_itself():
                return written.rollout(StopReason.REPETITION)
            new_ids = [int(token_B)]

    def _row(self, request: Request) -> tuple[BudgetMask, Sampler]:
        """The mask and the sampler of one row."""
        head: Any = self._model.get_output_embeddings()
        device, max_tokens = self._model.device, request.budget.max_tokens
        mask = BudgetMask(self._codec.vocabulary, head.weight.shape[0], 1, device)
        mask.begin(0, request.budget, reasoning=request.reasoning)
        sampler = Sampler(1, max_tokens, device)
        sampler.begin(0, request.sampling, max_tokens)
        return mask, sampler
