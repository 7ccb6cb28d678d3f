"""The engine thread: runs decoding steps while requests are queued and waits otherwise.

engine Requests -> EngineJobs, which pass tokens and rollouts to the event loop

The engine is not thread-safe, so only this thread uses it. The event loop puts commands into an
inbox that is emptied between two steps, so requests join and leave the running batch. The new
tokens of a step go back in one call. With many streams they go back less often than every step,
because an update takes time from the event loop, which takes turns with the engine.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue

import torch

from steiner.inference.engine import Engine, RequestDelta
from steiner.inference.request import Request
from steiner.types import Rollout, RunError, SteinerError

logger = logging.getLogger(__name__)

_UPDATE_S_PER_STREAM = 0.003
"""Least time between two updates, per open stream: 64 streams are updated 5 times a second. One
update of one stream costs about 0.1 ms."""


@dataclass(frozen=True, slots=True)
class JobUpdate:
    """New tokens of a job; the last update has a rollout or an error."""

    token_ids: tuple[int, ...]
    rollout: Rollout | None = None
    error: SteinerError | None = None

    @property
    def last(self) -> bool:
        """True for the last update."""
        return self.rollout is not None or self.error is not None


class EngineJob:
    """A request in the engine, for the event loop; made by `EngineThread.submit`.

    With `live`, tokens are passed on while the engine decodes; otherwise all at the end.
    """

    def __init__(
        self,
        request: Request,
        listener: Callable[[JobUpdate], None],
        on_cancel: Callable[[EngineJob], None],
        *,
        live: bool,
    ) -> None:
        self.request, self.live = request, live
        self.ended = False
        self._listener, self._on_cancel = listener, on_cancel

    def cancel(self) -> None:
        """Frees the job's place in the batch; its last update, with the tokens so far, follows at
        once. Does nothing if the job has ended."""
        if not self.ended:
            self._on_cancel(self)

    def receive(self, update: JobUpdate) -> None:
        """Passes an update to the listener."""
        self.ended = update.last
        self._listener(update)


@dataclass(eq=False, slots=True)
class _Row:
    """A job, for the engine's thread."""

    job: EngineJob
    unsent: list[int] = field(default_factory=list)
    num_sent: int = 0
    """Tokens passed on so far."""

    def send(self) -> tuple[EngineJob, JobUpdate]:
        """An update with the tokens since the last one."""
        new, self.unsent = tuple(self.unsent), []
        self.num_sent += len(new)
        return self.job, JobUpdate(new)

    def finish(self, rollout: Rollout) -> tuple[EngineJob, JobUpdate]:
        """The last update, with all tokens that were not passed on yet."""
        return self.job, JobUpdate(rollout.token_ids[self.num_sent :], rollout)


class EngineThread:
    """Runs an engine in its own thread; the public methods are for one event loop."""

    def __init__(self, engine: Engine, num_threads: int | None = None) -> None:
        """`num_threads` is how many threads torch decodes with; None leaves it as it is."""
        self.ended = False
        """Whether the thread has ended, by `stop` or by a failure; it takes no more jobs."""
        self._jobs: set[EngineJob] = set()
        self._engine, self._num_threads = engine, num_threads
        self._inbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._rows: dict[int, _Row] = {}
        self._updated_at = 0.0
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    # ------------------------------------------------------------------ in the event loop

    def start(self) -> None:
        """Starts the thread."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Ends the thread after the current step; unfinished jobs get an error."""
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)

    @property
    def num_jobs(self) -> int:
        """Unfinished jobs, running or waiting."""
        return len(self._jobs)

    def submit(
        self, request: Request, listener: Callable[[JobUpdate], None], *, live: bool
    ) -> EngineJob:
        """Passes a request to the engine; `listener` gets its updates in the event loop.

        Raises RunError once the thread has ended.
        """
        if self.ended:
            raise _failure("the engine has stopped")
        job = EngineJob(request, listener, self._cancel, live=live)
        self._jobs.add(job)
        self._inbox.put(partial(self._add, job))
        return job

    def _cancel(self, job: EngineJob) -> None:
        self._inbox.put(partial(self._remove, job))

    def _deliver(self, updates: Iterable[tuple[EngineJob, JobUpdate]]) -> None:
        for job, update in updates:
            if update.last:
                self._jobs.discard(job)
            job.receive(update)

    def _end(self) -> None:
        self.ended = True
        error = _failure("the engine has stopped")
        self._deliver([(job, JobUpdate((), error=error)) for job in self._jobs])

    # ------------------------------------------------------------------ in the engine's thread

    def _run(self) -> None:
        if self._num_threads is not None:
            torch.set_num_threads(self._num_threads)
        try:
            while self._run_commands():
                self._step()
        except Exception:
            logger.exception("the engine's thread failed")
        self._loop.call_soon_threadsafe(self._end)

    def _run_commands(self) -> bool:
        """Runs the commands of the inbox, and waits for one while no job runs. False means stop."""
        while not self._rows or not self._inbox.empty():
            command = self._inbox.get()
            if command is None:
                return False
            command()
        return True

    def _add(self, job: EngineJob) -> None:
        try:
            ticket = self._engine.submit(job.request)
        except SteinerError as error:
            self._send([(job, JobUpdate((), error=error))])
        else:
            self._rows[ticket] = _Row(job)

    def _remove(self, job: EngineJob) -> None:
        ticket = next((ticket for ticket, row in self._rows.items() if row.job is job), None)
        if ticket is not None:
            row = self._rows.pop(ticket)
            rollout = self._engine.cancel(ticket)
            assert rollout is not None
            self._send([row.finish(rollout)])

    def _step(self) -> None:
        try:
            events = self._engine.step()
        except Exception:
            logger.exception("a decoding step failed")
            self._abandon()
        else:
            updates = list(self._updates(events))
            if updates:
                self._send(updates)

    def _updates(self, events: Iterable[RequestDelta]) -> Iterable[tuple[EngineJob, JobUpdate]]:
        """The updates to pass on now; tokens of the other live rows are kept for later."""
        due = self._update_due()
        for event in events:
            row = self._rows[event.ticket]
            if event.rollout is not None:
                del self._rows[event.ticket]
                yield row.finish(event.rollout)
            elif row.job.live:
                row.unsent += event.token_ids
                if due or not row.num_sent:
                    yield row.send()

    def _update_due(self) -> bool:
        now = time.monotonic()
        num_streams = sum(row.job.live for row in self._rows.values())
        if now - self._updated_at < num_streams * _UPDATE_S_PER_STREAM:
            return False
        self._updated_at = now
        return True

    def _abandon(self) -> None:
        """Takes all requests out of the engine after an error, so that new ones can run."""
        self._engine.reset()
        error = _failure("the engine failed during this completion")
        self._send([(row.job, JobUpdate((), error=error)) for row in self._rows.values()])
        self._rows.clear()

    def _send(self, updates: list[tuple[EngineJob, JobUpdate]]) -> None:
        self._loop.call_soon_threadsafe(self._deliver, updates)


def _failure(message: str) -> RunError:
    return RunError(message, "ask again; if it happens again, restart the server")
