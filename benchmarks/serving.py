"""The server's throughput relative to the engine's, and the time to the first token.

model folder -> Measured

Engine and server write the same: so many tokens for each of the same prompts, by the same seeds.
Their rounds alternate, so that a busy machine slows both alike. The clients run on the same cores.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks import serving_abuse
from benchmarks.results import Measured
from benchmarks.serving_load import RequestBody, Served, ask_all, served
from benchmarks.setting import Figure, Setting
from benchmarks.vllm_rival import install
from benchmarks.vllm_server import vllm_served
from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.model_loading import load_reasoning_model
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.models.precision import fastest_dtype
from steiner.tasks import generate_problems
from steiner.types import Message, Split

NUM_CLIENTS = 64
NUM_REQUESTS = 256
"""A round's."""
NUM_FIRST = 16
"""Clients of which each has a place in the batch at once."""
_MAX_LENGTH = 1024
_STEPS = 500
"""As many do not fit: each completion is as long as it may be."""
_STREAMED = {"stream": True, "stream_options": {"include_usage": True}}


def load(
    model: Path, repeats: int = 3, *, clients: int = NUM_CLIENTS, num_requests: int = NUM_REQUESTS
) -> Iterator[Measured]:
    """Tokens a second with so many clients at once, over the engine's own."""
    bodies = _bodies(num_requests)
    streams = [body | _STREAMED for body in bodies]
    engine, requests = _engine(model, bodies, clients)
    with served(model, "--max-length", str(_MAX_LENGTH)) as server:
        ask_all(server, bodies[:clients], clients)
        rounds = [
            (
                _speed(lambda: sum(len(r.token_ids) for r in engine.generate(requests))),
                _speed(lambda: _num_tokens(server, bodies, clients)),
                _speed(lambda: _num_tokens(server, streams, clients)),
            )
            for _ in range(repeats)
        ]
    alone, whole, streamed = zip(*rounds, strict=True)
    target = "at least 90"
    yield Measured.repeated("of the engine", _shares(whole, alone), "%", target, "whole answers")
    yield Measured.repeated("of the engine, streamed", _shares(streamed, alone), "%", target)
    yield Measured.repeated("whole answers", whole, "tokens/s")
    yield Measured.repeated("streamed", streamed, "tokens/s")


def against_vllm(model: Path, repeats: int = 3) -> Iterator[Measured]:
    """Tokens a second over vLLM's server, with the same 64 clients, weights and lengths.

    vLLM has neither grammar nor step budget to apply here; it is stated to go on past the end.
    """
    install()
    bodies = _bodies(NUM_REQUESTS)
    rival_bodies = [_for_vllm(body) for body in bodies]
    options = ("--max-num-seqs", str(NUM_CLIENTS), "--max-model-len", str(_MAX_LENGTH))
    cores = {"VLLM_CPU_OMP_THREADS_BIND": f"0-{(os.cpu_count() or 1) - 1}"}
    dtype = str(fastest_dtype()).removeprefix("torch.")
    with (
        TemporaryDirectory() as folder,
        served(model, "--max-length", str(_MAX_LENGTH)) as server,
        vllm_served(
            model,
            Path(folder, "log"),
            *(*options, "--enforce-eager", "--dtype", dtype),
            environment=cores,
        ) as address,
    ):
        rival = Served(*address)
        for contestant, asked in ((server, bodies), (rival, rival_bodies)):
            ask_all(contestant, asked[:NUM_CLIENTS], NUM_CLIENTS)
        ratios = []
        for _ in range(repeats):
            own = _speed(lambda: _num_tokens(server, bodies))
            ratios.append(own / _speed(lambda: _num_tokens(rival, rival_bodies)))
    note = f"whole answers; vLLM in {dtype}, eager"
    yield Measured.repeated("over vllm", ratios, "times", "at least 1.5", note)


def _for_vllm(body: RequestBody) -> RequestBody:
    """The same request in vLLM's words."""
    kept = {key: value for key, value in body.items() if not key.endswith("_steps")}
    return kept | {"ignore_eos": True}


def first_token(model: Path, repeats: int = 3, *, requests_each: int = 12) -> Iterator[Measured]:
    """Decode steps from the end of a prompt's prefill to the first text at the client: what the
    client waits, less a prefill, over a step of the engine by itself with as many rows."""
    bodies = [body | _STREAMED for body in _bodies(requests_each * NUM_FIRST)]
    engine, requests = _engine(model, bodies)
    steps, waits = [], []
    with served(model, "--max-length", str(_MAX_LENGTH)) as server:
        ask_all(server, bodies[: 2 * NUM_FIRST], NUM_FIRST)
        for _ in range(repeats):
            step_s, prefill_s = _step_and_prefill(engine, requests)
            # The first of each client come all at once; later ones whenever one has ended.
            wait_s = median(a.first_s for a in ask_all(server, bodies, NUM_FIRST)[NUM_FIRST:])
            steps.append((wait_s - prefill_s) / step_s)
            waits.append(1000 * wait_s)
    yield Measured.repeated("after prefill, median", steps, "steps", "at most 3")
    yield Measured.repeated("at the client, median", waits, "ms")


def _bodies(count: int) -> list[RequestBody]:
    """Chat requests of 128 to 380 tokens each, so that they do not end together."""
    problems = generate_problems("countdown", 2, seed=0, split=Split.TEST)
    return [
        {
            "model": "steiner",
            "messages": [{"role": "user", "content": problem.question}],
            "temperature": 1.0,
            "seed": index,
            "min_steps": _STEPS,
            "max_steps": _STEPS,
            "max_tokens": 128 + 4 * (37 * index % 64),
        }
        for index, problem in enumerate(islice(problems, count))
    ]


def _engine(
    model: Path, bodies: Sequence[RequestBody], clients: int = NUM_CLIENTS
) -> tuple[Engine, list[Request]]:
    """An engine with a row for each client, and what the bodies ask of it."""
    weights, vocabulary = load_reasoning_model(model)
    requests = [
        Request(
            tuple(vocabulary.encode_prompt([Message(**turn) for turn in body["messages"]])),
            Budget(_STEPS, _STEPS, body["max_tokens"]),
            Sampling(temperature=1.0, seed=body["seed"]),
        )
        for body in bodies
    ]
    engine = Engine(weights, vocabulary, max_batch=clients, max_length=_MAX_LENGTH)
    engine.generate(requests[:4])
    return engine, requests


def _num_tokens(server: Served, bodies: Sequence[RequestBody], clients: int = NUM_CLIENTS) -> int:
    return sum(answer.num_tokens for answer in ask_all(server, bodies, clients))


def _speed(work: Callable[[], int]) -> float:
    """Tokens a second."""
    begun = time.perf_counter()
    return work() / (time.perf_counter() - begun)


def _shares(parts: Sequence[float], wholes: Sequence[float]) -> list[float]:
    return [100 * part / whole for part, whole in zip(parts, wholes, strict=True)]


def _step_and_prefill(engine: Engine, requests: Sequence[Request]) -> tuple[float, float]:
    """Seconds of a step of the engine by itself, in which 16 requests run, each followed by another
    when it ends, and how much longer a step is in which one joins."""
    waiting = iter(requests)
    for request in islice(waiting, NUM_FIRST):
        engine.submit(request)
    engine.step()
    joins = 0
    seconds: dict[int, list[float]] = {}
    while engine.num_unfinished == NUM_FIRST:
        begun = time.perf_counter()
        events = engine.step()
        seconds.setdefault(joins, []).append(time.perf_counter() - begun)
        following = islice(waiting, sum(event.rollout is not None for event in events))
        joins = sum(engine.submit(request) >= 0 for request in following)
    while engine.step():
        pass
    step_s = median(seconds[0])
    return step_s, median(seconds[1]) - step_s


MEASURES: Mapping[str, Callable[[Path], Iterator[Measured]]] = {
    "load": load,
    "vllm": against_vllm,
    "first-token": first_token,
    **serving_abuse.MEASURES,
}


def _of_the_run(measure: Callable[[Path], Iterator[Measured]]) -> Figure:
    def figure(setting: Setting) -> Iterator[Measured]:
        return measure(setting.stage("rl"))

    return figure


FIGURES: Mapping[str, Figure] = {
    f"serving-{name}": _of_the_run(measure) for name, measure in MEASURES.items()
}
