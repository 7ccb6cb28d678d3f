"""The choices of one request on their way through the engine, put together again.

engine Requests -> (choice, Progress) as it comes, or the Rollouts at the end
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from functools import partial

from steiner.inference.request import Request
from steiner.serving.engine_thread import Job, Progress, Worker
from steiner.serving.metrics import Metrics
from steiner.types import Problem, Rollout


class Completion:
    """What comes of one request; whoever made it calls `cancel` when nobody reads it any more."""

    def __init__(self, id: str, problem: Problem | None, metrics: Metrics) -> None:
        self.id = id
        self.created_s = int(time.time())
        self.problem = problem
        """What the question poses, where it fits a problem family."""
        self.expired = False
        """Whether the time limit ended it."""
        self._metrics = metrics
        self._begun_at = time.monotonic()
        self._has_token = False
        self._jobs: list[Job] = []
        self._arrivals: asyncio.Queue[tuple[int, Progress]] = asyncio.Queue()

    def begin(
        self, worker: Worker, requests: Sequence[Request], limit_s: float, *, live: bool
    ) -> None:
        """Hands the requests, one a choice, to the engine."""
        for choice, request in enumerate(requests):
            self._jobs.append(worker.submit(request, partial(self._hear, choice), live=live))
        self._timer = asyncio.get_running_loop().call_later(limit_s, self._expire)

    @property
    def num_choices(self) -> int:
        """How many there are."""
        return len(self._jobs)

    async def arrivals(self) -> AsyncIterator[tuple[int, Progress]]:
        """Which choice, and what has come of it, until all have ended.

        Raises SteinerError where the engine failed.
        """
        num_ended = 0
        while num_ended < self.num_choices:
            choice, progress = await self._arrivals.get()
            if progress.error is not None:
                raise progress.error
            num_ended += progress.last
            yield choice, progress

    async def rollouts(self) -> list[Rollout]:
        """What each choice came to; raises SteinerError where the engine failed."""
        rollouts: dict[int, Rollout] = {}
        async for choice, progress in self.arrivals():
            if progress.rollout is not None:
                rollouts[choice] = progress.rollout
        return [rollouts[choice] for choice in range(self.num_choices)]

    def cancel(self) -> None:
        """Gives back the places of all choices that have not ended."""
        self._timer.cancel()
        for job in self._jobs:
            job.cancel()

    def cancel_choice(self, choice: int) -> None:
        """Ends one choice with what it has written."""
        self._jobs[choice].cancel()

    def _expire(self) -> None:
        self.expired = True
        self.cancel()

    def _hear(self, choice: int, progress: Progress) -> None:
        elapsed_s = time.monotonic() - self._begun_at
        if progress.token_ids and not self._has_token:
            self._has_token = True
            self._metrics.first_token_s.observe(elapsed_s)
        if progress.rollout is not None:
            self._metrics.completion_s.observe(elapsed_s)
            self._metrics.count(progress.rollout, expired=self.expired)
        if all(job.ended for job in self._jobs):
            self._timer.cancel()
        self._arrivals.put_nowait((choice, progress))
