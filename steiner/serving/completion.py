"""The choices of one API request while the engine decodes them.

engine Requests -> (choice, JobUpdate) while decoding, or the Rollouts at the end
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial

from steiner.inference.request import Request
from steiner.serving.engine_thread import EngineJob, EngineThread, JobUpdate
from steiner.serving.metrics import Metrics
from steiner.types import Message, Rollout


class Completion:
    """The completion of one API request; the caller cancels it when nobody reads it any more."""

    def __init__(
        self,
        id: str,
        dialogues: Sequence[Sequence[Message]],
        num_prompt_tokens: int,
        metrics: Metrics,
    ) -> None:
        self.id = id
        self.created_s = int(time.time())
        self.dialogues = dialogues
        """For each choice the dialogue that it answers."""
        self.num_prompt_tokens = num_prompt_tokens
        """Tokens of all prompts; choices share the prompt of their question."""
        self.expired = False
        """Whether the time limit ended it."""
        self._metrics = metrics
        self._started_at = time.monotonic()
        self._has_token = False
        self._jobs: list[EngineJob] = []
        self._queue: asyncio.Queue[tuple[int, JobUpdate]] = asyncio.Queue()

    def start(
        self, engine: EngineThread, requests: Sequence[Request], limit_s: float, *, live: bool
    ) -> None:
        """Passes the requests, one per choice, to the engine."""
        for choice, request in enumerate(requests):
            self._jobs.append(engine.submit(request, partial(self._receive, choice), live=live))
        self._timer = asyncio.get_running_loop().call_later(limit_s, self._expire)

    @property
    def num_choices(self) -> int:
        """Number of choices."""
        return len(self._jobs)

    async def updates(self) -> AsyncIterator[tuple[int, JobUpdate]]:
        """The updates of all choices, until all have ended.

        Raises SteinerError if the engine failed.
        """
        num_ended = 0
        while num_ended < self.num_choices:
            choice, update = await self._queue.get()
            if update.error is not None:
                raise update.error
            num_ended += update.last
            yield choice, update

    async def rollouts(self) -> list[Rollout]:
        """The rollout of each choice. Raises SteinerError if the engine failed."""
        rollouts: dict[int, Rollout] = {}
        async for choice, update in self.updates():
            if update.rollout is not None:
                rollouts[choice] = update.rollout
        return [rollouts[choice] for choice in range(self.num_choices)]

    def cancel(self) -> None:
        """Frees the places of all unfinished choices."""
        self._timer.cancel()
        for job in self._jobs:
            job.cancel()

    def cancel_choice(self, choice: int) -> None:
        """Ends one choice; its tokens so far are its rollout."""
        self._jobs[choice].cancel()

    def _expire(self) -> None:
        self.expired = True
        self.cancel()

    def _receive(self, choice: int, update: JobUpdate) -> None:
        elapsed_s = time.monotonic() - self._started_at
        if update.token_ids and not self._has_token:
            self._has_token = True
            self._metrics.first_token_s.observe(elapsed_s)
        if update.rollout is not None:
            self._metrics.completion_s.observe(elapsed_s)
            self._metrics.count(update.rollout, expired=self.expired)
        if all(job.ended for job in self._jobs):
            self._timer.cancel()
        self._queue.put_nowait((choice, update))
