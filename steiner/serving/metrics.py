"""Counters and timings of a server, in Prometheus' text format.

requests, jobs, rollouts -> /metrics
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from steiner.inference.engine import Engine
from steiner.types import Rollout

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FIRST_TOKEN_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_COMPLETION_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """One server's counters, in a registry of its own."""

    def __init__(self, num_jobs: Callable[[], int], engine: Engine) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "steiner_requests", "Answered HTTP requests", ["path", "status"], registry=registry
        )
        self._completions = Counter(
            "steiner_completions", "Finished completions", ["stop_reason"], registry=registry
        )
        tokens = Counter("steiner_tokens", "Tokens read and written", ["kind"], registry=registry)
        self._num_read, self._num_written = tokens.labels("prompt"), tokens.labels("completion")
        self._steps = Counter(
            "steiner_steps", "Steps that completions took", ["decision"], registry=registry
        )
        self.first_token_s = Histogram(
            "steiner_time_to_first_token_seconds",
            "From a streamed request's arrival to its first token",
            registry=registry,
            buckets=_FIRST_TOKEN_BUCKETS_S,
        )
        self.completion_s = Histogram(
            "steiner_completion_seconds",
            "From a request's arrival to the end of its completion",
            registry=registry,
            buckets=_COMPLETION_BUCKETS_S,
        )
        running = Gauge("steiner_running", "Completions in the batch", registry=registry)
        running.set_function(lambda: engine.num_running)
        waiting = Gauge("steiner_waiting", "Completions in the queue", registry=registry)
        waiting.set_function(lambda: max(num_jobs() - engine.num_running, 0))
        used = Gauge("steiner_kv_cache_bytes", "Memory of the KV cache", registry=registry)
        used.set_function(lambda: engine.kv_bytes)
        limit = Gauge("steiner_kv_cache_limit_bytes", "Most memory of it", registry=registry)
        limit.set(engine.kv_limit)
        registry.register(_Preemptions(engine))

    def count(self, rollout: Rollout, *, expired: bool) -> None:
        """Counts one finished completion."""
        self._completions.labels("time_limit" if expired else str(rollout.stop_reason)).inc()
        self._num_read.inc(len(rollout.prompt_ids))
        self._num_written.inc(len(rollout.token_ids))
        for step in rollout.steps:
            self._steps.labels(str(step.decision)).inc()

    def text(self) -> bytes:
        """The exposition that a scrape gets."""
        return generate_latest(self._registry)


class _Preemptions(Collector):
    """The engine's own count, which the library's Counter could not read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        """The counter as it is now."""
        yield CounterMetricFamily(
            "steiner_preemptions",
            "Completions that left the batch for lack of memory",
            value=self._engine.num_preemptions,
        )
