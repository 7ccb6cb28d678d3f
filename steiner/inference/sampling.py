"""Chooses tokens: greedy, or by temperature, top-p and min-p, with a random stream per row.

masked logits (B, V) -> tokens (B,), log-probabilities (B,)

A row draws its random numbers when it joins, one uniform number per token. The inverse of the
cumulative distribution turns each into a token. So a row's tokens depend on its own seed only, not
on other rows, and a decoding step draws no random numbers.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import torch

from steiner.types import UserError

_LARGEST_UNIFORM = 1 - 2**-20
"""Largest factor below 1 whose product with a total stays below the total in float32."""
_LEAST = 1e-6
"""Smallest temperature and top_p: it leaves one token already; below it float32 leaves none."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling settings; temperature 0 is greedy.

    top_p: keeps the likeliest tokens that have this probability together (arXiv:1904.09751).
    min_p: keeps tokens with at least this share of the likeliest token's probability
        (arXiv:2407.01082).
    """

    temperature: float = 0.0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise UserError(f"temperature is {self.temperature}", "give 0 (greedy) or more")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p is {self.top_p}", "give a number above 0, at most 1")
        if not 0 <= self.min_p <= 1:
            raise UserError(f"min_p is {self.min_p}", "give a number from 0 to 1")


def own_sampling(model: Any) -> Sampling:
    """The Sampling in a model's generation_config.json; greedy if it sets none."""
    config = getattr(model, "generation_config", None)
    if not getattr(config, "do_sample", None):
        return Sampling()

    def setting(name: str, default: float) -> float:
        value = getattr(config, name, None)
        return default if value is None else float(value)

    return Sampling(setting("temperature", 1.0), setting("top_p", 1.0), setting("min_p", 0.0))


class Sampler:
    """The sampling settings and random streams of up to `max_batch` rows."""

    def __init__(self, max_batch: int, max_length: int, device: torch.device) -> None:
        self._settings = [Sampling()] * max_batch
        self._uniforms = torch.zeros(max_batch, max_length, device=device)
        self._inverse_temperature = torch.ones(max_batch, 1, device=device)
        self._top_p = torch.ones(max_batch, 1, device=device)
        self._min_p = torch.zeros(max_batch, 1, device=device)
        self._greedy = torch.ones(max_batch, dtype=torch.bool, device=device)

    def begin(self, row: int, sampling: Sampling, num_tokens: int) -> None:
        """Sets the sampling of `row`, and draws uniform numbers for `num_tokens` tokens."""
        self._settings[row] = sampling
        self._greedy[row] = sampling.temperature == 0
        self._top_p[row], self._min_p[row] = max(_LEAST, sampling.top_p), sampling.min_p
        if sampling.temperature > 0:
            self._inverse_temperature[row] = 1 / max(_LEAST, sampling.temperature)
            self._uniforms[row, :num_tokens] = uniforms(sampling.seed, num_tokens)

    def move(self, source: int, target: int) -> None:
        """Copies the settings and stream of row `source` to row `target`."""
        self._settings[target] = self._settings[source]
        for tensor in (
            self._greedy,
            self._top_p,
            self._min_p,
            self._inverse_temperature,
            self._uniforms,
        ):
            tensor[target] = tensor[source]

    def choose(
        self, logits_BV: torch.Tensor, spent_B: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The tokens, and their log-probabilities at temperature 1 under the masked distribution.

        `logits_BV` is already masked with -inf. `spent_B` is the number of tokens that each row has
        written: its position in the random stream.
        """
        settings = self._settings[: len(logits_BV)]
        probs_BV = logits_BV.softmax(-1)
        if all(one.temperature == 0 for one in settings):
            best_B, tokens_B = probs_BV.max(-1)
            return tokens_B, best_B.log()
        shaped_BV = self._shaped(logits_BV, probs_BV, settings)
        tokens_B = self._draw(shaped_BV, spent_B)
        if any(one.temperature == 0 for one in settings):
            tokens_B = torch.where(self._greedy[: len(settings)], probs_BV.argmax(-1), tokens_B)
        return tokens_B, probs_BV.gather(1, tokens_B[:, None])[:, 0].log()

    def _shaped(
        self, logits_BV: torch.Tensor, probs_BV: torch.Tensor, settings: list[Sampling]
    ) -> torch.Tensor:
        rows = len(settings)
        if any(one.temperature not in (0.0, 1.0) for one in settings):
            probs_BV = (logits_BV * self._inverse_temperature[:rows]).softmax(-1)
        if any(one.top_p < 1 for one in settings):
            probs_BV = _nucleus(probs_BV, self._top_p[:rows])
        if any(one.min_p > 0 for one in settings):
            least_B1 = probs_BV.amax(-1, keepdim=True) * self._min_p[:rows]
            probs_BV = probs_BV * (probs_BV >= least_B1)
        return probs_BV

    def _draw(self, probs_BV: torch.Tensor, spent_B: torch.Tensor) -> torch.Tensor:
        cumulative_BV = probs_BV.cumsum(-1)
        uniform_B1 = self._uniforms[: len(probs_BV)].gather(1, spent_B[:, None])
        target_B1 = uniform_B1 * cumulative_BV[:, -1:]
        return torch.searchsorted(cumulative_BV, target_B1, right=True)[:, 0]


def top_logprobs(logits_BV: torch.Tensor, count: int) -> list[tuple[tuple[int, float], ...]]:
    """The `count` likeliest (token, log-probability) pairs of each row, likeliest first.

    Tokens that the mask forbids are left out, so a row can have fewer.
    """
    logprobs_BK, tokens_BK = logits_BV.log_softmax(-1).topk(min(count, logits_BV.shape[1]))
    return [
        tuple((token, logprob) for token, logprob in pairs if logprob > -math.inf)
        for pairs in (
            zip(tokens, logprobs, strict=True)
            for tokens, logprobs in zip(tokens_BK.tolist(), logprobs_BK.tolist(), strict=True)
        )
    ]


def uniforms(seed: int, count: int) -> torch.Tensor:
    """The first `count` numbers of a seed's stream, float32 in [0, 1)."""
    digest = hashlib.sha256(f"steiner/sampling/{seed}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    return (
        torch.rand(count, generator=generator, dtype=torch.float64)
        .float()
        .clamp_(max=_LARGEST_UNIFORM)
    )


def _nucleus(probs_BV: torch.Tensor, top_p_B1: torch.Tensor) -> torch.Tensor:
    """Sets all but the fewest tokens that reach top_p together to 0; does not normalise."""
    ordered_BV, order_BV = probs_BV.sort(-1, descending=True)
    before_BV = ordered_BV.cumsum(-1) - ordered_BV
    kept_BV = ordered_BV * (before_BV < top_p_B1)
    return torch.zeros_like(probs_BV).scatter_(1, order_BV, kept_BV)
