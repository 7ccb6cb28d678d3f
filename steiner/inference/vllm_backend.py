"""A rollout backend on a running `vllm serve` with the step-budget plugin.

Requests -> HTTP -> Rollouts, parsed and masked as the embedded engine's

The server samples under the same tables as the engine (serving/vllm), and its
`--logprobs-mode processed_logprobs` returns log-probabilities of that masked distribution, at the
request's temperature and after top_p and min_p. At temperature 1 (or 0) without those two they are
the engine's; other settings change them, while the engine always reports temperature 1. Which
tokens were forced, the stop reason and the end of a rollout that repeats itself come from a replay
here. Tokens are drawn with vLLM's own random numbers, so a seed gives other rollouts than on the
engine.

    vllm serve MODEL --logits-processors steiner.serving.vllm.logits_processor:StepBudget \\
        --logprobs-mode processed_logprobs
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from steiner.format import grammar
from steiner.format.codec import Codec
from steiner.format.tokenizer import Vocabulary
from steiner.inference.budget import opening_ids
from steiner.inference.replay import Replay, replay
from steiner.inference.request import PartialRollout, Request
from steiner.inference.vllm_client import VllmClient, VllmCompletion
from steiner.types import Rollout, StopReason, UserError

_PLUGIN = "--logits-processors steiner.serving.vllm.logits_processor:StepBudget"
_LOGPROBS = "--logprobs-mode processed_logprobs"
_NEAR_ONE = -1e-3
"""A forced token has log-probability 0 among the allowed tokens."""
_SAMPLE = "Make 21 from 9, 6 and 3.\n"


class VllmBackend:
    """Completes requests on the server at `url`.

    Its weights are those that `load_weights` gave it last; before that, those it was started with.
    Raises UserError if the server cannot be reached or has another vocabulary.
    """

    def __init__(self, url: str, vocabulary: Vocabulary) -> None:
        self._client, self._vocabulary = VllmClient(url), vocabulary
        self._codec, self._opening = Codec(vocabulary), opening_ids(vocabulary)
        self._served = self._client.served_model()
        self._check_vocabulary()

    def generate(
        self, requests: Sequence[Request], on_progress: Callable[[int], None] | None = None
    ) -> list[Rollout]:
        """The requests' rollouts, in their order. `on_progress` gets the number finished."""
        bodies = [self._body(request) for request in requests]
        completions = self._client.complete(bodies, on_progress)
        token_ids = [completion.token_ids for completion in completions]
        if any(token >= len(self._vocabulary.tokenizer) for ids in token_ids for token in ids):
            raise self._without_plugin()
        replays = replay(self._vocabulary, requests, token_ids)
        return list(map(self._rollout, requests, completions, replays))

    def load_weights(self, folder: Path) -> None:
        """Gives the server the weights in `folder`; both must see it under the same path."""
        self._client.load_weights(folder)

    def _check_vocabulary(self) -> None:
        """Compares the ids of the 14 tokens and of a sentence."""
        url, served, vocabulary = self._client.url, self._served, self._vocabulary
        text = "".join(grammar.SPECIAL_TOKENS) + _SAMPLE
        expected = [*vocabulary.special_ids, *vocabulary.encode_text(_SAMPLE)]
        if self._client.tokenize(text) != expected:
            raise UserError(
                f"the model '{served.name}' at {url} has another vocabulary than the one here",
                "serve the model that the training starts from, such as runs/tiny/sft",
            )

    def _body(self, request: Request) -> dict[str, Any]:
        """The request as JSON. Raises UserError if it does not fit into the context."""
        budget, sampling = request.budget, request.sampling
        needed = len(request.prompt_ids) + budget.max_tokens
        if needed > self._served.max_length:
            raise UserError(
                f"a prompt of {len(request.prompt_ids)} tokens and max_tokens "
                f"{budget.max_tokens} exceed the {self._served.max_length} of {self._client.url}",
                "lower max_tokens, or start vLLM with a larger --max-model-len",
            )
        limits = {
            "min_steps": budget.min_steps,
            "max_steps": budget.max_steps,
            "max_reasoning_tokens": budget.max_reasoning_tokens,
            "reasoning": None if request.reasoning else 0,
        }
        return {
            "model": self._served.name,
            "prompt": list(request.prompt_ids),
            "max_tokens": budget.max_tokens,
            "seed": sampling.seed,
            # All of them, because the server's defaults come from its model's folder.
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "top_k": 0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "stop_token_ids": [self._vocabulary.close_id],
            "logprobs": request.num_top_logprobs,
            "return_token_ids": True,
            "return_tokens_as_token_ids": True,
            "vllm_xargs": {name: value for name, value in limits.items() if value is not None},
        }

    def _rollout(self, request: Request, completion: VllmCompletion, replayed: Replay) -> Rollout:
        if replayed.num_allowed < len(completion.token_ids):
            raise self._without_plugin()
        if any(
            forced and logprob < _NEAR_ONE
            for forced, logprob in zip(replayed.forced, completion.logprobs, strict=True)
        ):
            message = f"vLLM at {self._client.url} reports log-probabilities without the mask"
            raise UserError(message, f"start it with {_LOGPROBS}")
        written = PartialRollout(request, self._codec, self._opening)
        for place in range(len(written.token_ids), len(completion.token_ids)):
            is_forced = replayed.forced[place]
            logprob = 0.0 if is_forced else completion.logprobs[place]
            written.append(completion.token_ids[place], logprob, is_forced)
            if request.num_top_logprobs:
                written.append_top_logprobs(completion.top_logprobs[place])
            is_last = place + 1 == len(completion.token_ids)
            if not is_last and written.repeats_itself():
                return written.rollout(StopReason.REPETITION)
        return written.rollout(StopReason.LENGTH if replayed.cut[-1] else StopReason.END)

    def _without_plugin(self) -> UserError:
        message = f"vLLM at {self._client.url} does not keep to the format and the step budget"
        return UserError(message, f"start it with {_PLUGIN}")
