"""The thread that owns the engine: it decodes while there is work, and sleeps while there is none.

engine Requests -> Jobs, which give tokens and rollouts to the event loop

The engine is not thread-safe, so nothing but this thread touches it. The event loop puts commands
into an inbox that is emptied between two steps, so requests join and leave the running batch. What
a step has written goes back in one call, and not after every step where many streams are read:
each update takes time of the event loop, which takes turns with the engine.
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

from steiner.inference.engine import Engine, RequestDelta
from steiner.inference.request import Request
from steiner.types import Rollout, RunError, SteinerError

logger = logging.getLogger(__name__)

_UPDATE_S_PER_STREAM = 0.003
"""Least time between two updates of all streams, for each of them: 64 streams, 5 times a second. An
update of one costs about 0.1 ms."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What has come of a job since the last time; the last one has a rollout or an error."""

    token_ids: tuple[int, ...]
    rollout: Rollout | None = None
    error: SteinerError | None = None

    @property
    def last(self) -> bool:
        """Whether nothing more will come."""
        return self.rollout is not None or self.error is not None


class Job:
    """A request on its way through the engine, as the event loop sees it; made by `Worker.submit`.

    `live` says that somebody reads the tokens as they come; else all come with the rollout.
    """

    def __init__(
        self,
        request: Request,
        listener: Callable[[Progress], None],
        on_cancel: Callable[[Job], None],
        *,
        live: bool,
    ) -> None:
        self.request, self.live = request, live
        self.ended = False
        self._listener, self._on_cancel = listener, on_cancel

    def cancel(self) -> None:
        """Gives the job's place in the batch to another; its last progress comes at once, with what
        it has written. No harm once it has ended."""
        if not self.ended:
            self._on_cancel(self)

    def arrive(self, progress: Progress) -> None:
        """Passes on what the worker has to say."""
        self.ended = progress.last
        self._listener(progress)


@dataclass(eq=False, slots=True)
class _Row:
    """A job as the engine's thread sees it."""

    job: Job
    unsent: list[int] = field(default_factory=list)
    num_sent: int = 0
    """Tokens that have been passed on."""

    def send(self) -> tuple[Job, Progress]:
        """What has come since the last time."""
        new, self.unsent = tuple(self.unsent), []
        self.num_sent += len(new)
        return self.job, Progress(new)

    def finish(self, rollout: Rollout) -> tuple[Job, Progress]:
        """The end, with all that has not been passed on."""
        return self.job, Progress(rollout.token_ids[self.num_sent :], rollout)


class Worker:
    """Runs an engine in a thread of its own; its public methods are for one event loop."""

    def __init__(self, engine: Engine) -> None:
        self.ended = False
        """Whether the thread has ended, asked to or not; it takes no more jobs then."""
        self._jobs: set[Job] = set()
        self._engine = engine
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
        """Ends the thread after its present step; jobs that have not ended get an error."""
        self._inbox.put(None)
        await asyncio.to_thread(self._thread.join)

    @property
    def num_jobs(self) -> int:
        """Jobs that have not ended, whether they run or wait."""
        return len(self._jobs)

    def submit(self, request: Request, listener: Callable[[Progress], None], *, live: bool) -> Job:
        """Hands a request to the engine; `listener` hears in the event loop what comes of it.

        Raises RunError once the thread has ended.
        """
        if self.ended:
            raise _failure("the engine has stopped")
        job = Job(request, listener, self._cancel, live=live)
        self._jobs.add(job)
        self._inbox.put(partial(self._join, job))
        return job

    def _cancel(self, job: Job) -> None:
        self._inbox.put(partial(self._leave, job))

    def _deliver(self, arrivals: Iterable[tuple[Job, Progress]]) -> None:
        for job, progress in arrivals:
            if progress.last:
                self._jobs.discard(job)
            job.arrive(progress)

    def _end(self) -> None:
        self.ended = True
        error = _failure("the engine has stopped")
        self._deliver([(job, Progress((), error=error)) for job in self._jobs])

    # ------------------------------------------------------------------ in the engine's thread

    def _run(self) -> None:
        try:
            while self._obey():
                self._step()
        except Exception:
            logger.exception("the engine's thread has died")
        self._loop.call_soon_threadsafe(self._end)

    def _obey(self) -> bool:
        """Carries out what lies in the inbox; where nothing runs, waits for it. False: the end."""
        while not self._rows or not self._inbox.empty():
            command = self._inbox.get()
            if command is None:
                return False
            command()
        return True

    def _join(self, job: Job) -> None:
        try:
            ticket = self._engine.submit(job.request)
        except SteinerError as error:
            self._send([(job, Progress((), error=error))])
        else:
            self._rows[ticket] = _Row(job)

    def _leave(self, job: Job) -> None:
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
            logger.exception("a step of the engine has failed")
            self._abandon()
        else:
            arrivals = list(self._arrivals(events))
            if arrivals:
                self._send(arrivals)

    def _arrivals(self, events: Iterable[RequestDelta]) -> Iterable[tuple[Job, Progress]]:
        """What of these events is passed on now; the tokens of other live rows are kept."""
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
        """Takes everything out of the engine after an error, so that the next step is a new one."""
        for ticket in self._rows:
            self._engine.cancel(ticket)
        error = _failure("the engine failed in the middle of this completion")
        self._send([(row.job, Progress((), error=error)) for row in self._rows.values()])
        self._rows.clear()

    def _send(self, arrivals: list[tuple[Job, Progress]]) -> None:
        self._loop.call_soon_threadsafe(self._deliver, arrivals)


def _failure(message: str) -> RunError:
    return RunError(message, "ask again; if it happens again, restart the server")
