"""One request to a backend, and the completion being written for it.

Request -> PartialRollout, which grows token by token -> Rollout
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from steiner.format.codec import Codec
from steiner.inference.budget import Budget
from steiner.inference.repetition import RepetitionDetector
from steiner.inference.sampling import Sampling
from steiner.types import Rollout, StopReason

TokenLogprobs = tuple[tuple[int, float], ...]
"""(token id, log-probability) of the likeliest tokens at one position, likeliest first."""


@dataclass(frozen=True, slots=True)
class Request:
    """A prompt to complete, with its limits and sampling."""

    prompt_ids: tuple[int, ...]
    budget: Budget = field(default_factory=Budget)
    sampling: Sampling = field(default_factory=Sampling)
    reasoning: bool = True
    """False for a direct answer: text and the closing token only; step limits do not apply."""
    num_top_logprobs: int = 0
    """How many of the likeliest tokens to record at each position."""


class PartialRollout:
    """The tokens written so far for one request."""

    def __init__(self, request: Request, codec: Codec, opening: Sequence[int]) -> None:
        """`opening` holds the tokens that every reasoning begins with; they are forced."""
        self.request, self._codec = request, codec
        written = list(opening) if request.reasoning else []
        self.token_ids = written
        self._logprobs = [0.0] * len(written)
        self._forced = [True] * len(written)
        recorded = written if request.num_top_logprobs else []
        self._top_logprobs: list[TokenLogprobs] = [((token, 0.0),) for token in recorded]
        self._repetition = RepetitionDetector(codec.vocabulary)

    def append(self, token: int, logprob: float, forced: bool) -> None:
        """Adds one token."""
        self.token_ids.append(token)
        self._logprobs.append(logprob)
        self._forced.append(forced)

    def append_top_logprobs(self, likeliest: TokenLogprobs) -> None:
        """Adds the likeliest tokens of one position."""
        self._top_logprobs.append(likeliest[: self.request.num_top_logprobs])

    def repeats_itself(self) -> bool:
        """True if the completion is stuck in a loop; to be called after each token."""
        return self._repetition.is_stuck(self.token_ids)

    def rollout(self, reason: StopReason) -> Rollout:
        """The rollout that ends here. A completion that repeats itself has no answer."""
        rollout = self._codec.decode(
            self.request.prompt_ids,
            self.token_ids,
            self._logprobs,
            reason,
            self._forced,
            self._top_logprobs,
        )
        if reason is StopReason.REPETITION:
            return replace(rollout, answer="", answer_span=None)
        if self.request.reasoning:
            return rollout
        closed = reason is not StopReason.CANCELLED
        text = self.token_ids[:-1] if closed else self.token_ids
        return replace(rollout, answer=self._codec.vocabulary.decode_text(text).strip())
