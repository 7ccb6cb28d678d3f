"""A teacher on a Ray cluster: every node, or every GPU, answers a part of the requests.

TeacherRequests -> Replies

    steiner synth --questions mine.jsonl --teacher models/qwen --ray 10.0.0.1:6379

Workers only answer; the replies are stored by the one process that asks, in its cache. The others
get the requests of a worker that dies, and each reply is counted once. The requests that it had
(two chunks) are asked again.
"""

from __future__ import annotations

import importlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from steiner.recipe import TeacherRecipe
from steiner.teacher.requests import Reply, Teacher, TeacherRequest
from steiner.types import RunError, SteinerError

_CHUNK = 32
"""Requests that a worker gets at a time."""
_AHEAD = 2
"""Chunks that wait for each worker, so that it never idles."""
_PAUSE_S = 0.5
"""Seconds after a worker was out of reach."""


class RayTeacher:
    """Answers as `make(settings)` does, on the cluster at `settings.ray`."""

    def __init__(self, settings: TeacherRecipe, make: Callable[[TeacherRecipe], Teacher]) -> None:
        self._address = settings.ray
        self._settings = replace(settings, ray="")
        self._make = make
        self._made: list[Any] = []
        self.identity = make(self._settings).identity  # checks the settings too

    def replies(
        self,
        requests: Sequence[TeacherRequest],
        on_reply: Callable[[int, Reply], None],
        may_go_on: Callable[[], bool],
    ) -> None:
        """Raises RunError if the cluster is out of reach, and what the teacher itself raises."""
        import ray

        self._connect()
        workers = self._workers()
        waiting = deque(_chunks(len(requests)))
        running: dict[Any, tuple[Any, Sequence[int]]] = {}
        while workers:
            free = [w for w in workers for _ in range(_AHEAD - _load(running, w))]
            while waiting and free and may_go_on():
                worker, places = free.pop(0), waiting.popleft()
                asked = worker.answer.remote([requests[place] for place in places])
                running[asked] = worker, places
            if not running:
                return
            [done], _ = ray.wait(list(running), num_returns=1)
            worker, places = running.pop(done)
            try:
                replies = ray.get(done)
            except (ray.exceptions.ActorUnavailableError, ray.exceptions.ObjectLostError):
                # A busy node, or one that died after its worker had answered. If the worker is dead
                # too, its next chunk raises RayActorError.
                waiting.appendleft(places)
                time.sleep(_PAUSE_S)
                continue
            except (ray.exceptions.RayActorError, ray.exceptions.ActorUnschedulableError):
                workers[:] = [other for other in workers if other is not worker]
                waiting.appendleft(places)
                continue
            except ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, SteinerError):
                    raise error.cause from error
                raise
            for place, reply in zip(places, replies, strict=True):
                on_reply(place, reply)
        hint = "run the same command again when it works: answered requests are kept"
        raise RunError("all workers of the Ray cluster died", hint)

    def _connect(self) -> None:
        """Joins the cluster, once in a process."""
        import ray

        if ray.is_initialized():
            return
        try:
            ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0]
            hint = "start it with `ray start --head`, and give HOST:6379, or auto on a node of it"
            raise RunError(f"no Ray cluster at {self._address}: {reason}", hint) from error

    def _workers(self) -> list[Any]:
        """One on each GPU, or one on each node if there is none; made at the first call."""
        if self._made:
            return self._made
        ray: Any = importlib.import_module("ray")  # typed in part
        strategies: Any = importlib.import_module("ray.util.scheduling_strategies")
        gpus = int(ray.cluster_resources().get("GPU", 0))
        key = self._settings.key_variable
        options = {
            "num_gpus": 1 if gpus else 0,
            "num_cpus": 0,  # it waits for an endpoint, or uses all cores of its node
            "runtime_env": {"env_vars": {key: os.environ[key]} if key in os.environ else {}},
        }
        nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
        places = [strategies.NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes]
        worker = ray.remote(_Worker)
        self._made = [
            worker.options(scheduling_strategy=place, **options).remote(self._settings, self._make)
            for place in (["SPREAD"] * gpus or places)
        ]
        return self._made


class _Worker:
    """A process on a node, with a teacher of its own."""

    def __init__(self, settings: TeacherRecipe, make: Callable[[TeacherRecipe], Teacher]) -> None:
        self._teacher = make(settings)
        if not settings.url:
            import torch

            torch.set_num_threads(os.cpu_count() or 1)  # Ray allows one

    def answer(self, requests: Sequence[TeacherRequest]) -> list[Reply]:
        """The replies, in order."""
        found: dict[int, Reply] = {}
        self._teacher.replies(requests, found.__setitem__, lambda: True)
        return [found[place] for place in range(len(requests))]


def _load(running: Mapping[Any, tuple[Any, Sequence[int]]], worker: Any) -> int:
    """Chunks that the worker has."""
    return sum(owner is worker for owner, _ in running.values())


def _chunks(count: int) -> Iterator[Sequence[int]]:
    for start in range(0, count, _CHUNK):
        yield range(start, min(count, start + _CHUNK))
