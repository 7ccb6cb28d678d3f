"""Speed and memory with a real base, such as SmolLM2-135M: `--base` names it.

Setting -> ratios of tokens per second, GB

    make bench FIGURE="base-decoding base-training base-memory --base models/smollm2"

Rivals use the same weights in the same run, in alternating rounds.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import torch
from transformers import (
    PreTrainedModel,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from benchmarks import serving, vllm_rival
from benchmarks.machine import matmul_rates, rates_note
from benchmarks.results import Measured
from benchmarks.serving_load import ask_all, served
from benchmarks.setting import Figure, Setting
from benchmarks.watch import memory_bytes, watch
from steiner.format.tokenizer import Vocabulary
from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.projection import Projection
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.models.loading import load_model
from steiner.models.precision import fastest_dtype
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.models.saving import save_model
from steiner.pipeline import plan
from steiner.recipe_file import load_recipe
from steiner.training.schedule import Schedule
from steiner.training.trainer import train_sequences
from steiner.types import TokenSequence

_ROWS, _TOKENS = 16, 128
_PROMPTS, _ROLLOUTS, _LONG_PROMPT, _SHORT_ANSWER = 8, 8, 512, 32
_BATCH_ROWS, _ROW_TOKENS, _BATCHES = 4, 1024, 4
_CLIENTS, _MANY_CLIENTS = 8, 32
_TRAINED_TOKENS = 8_192
_RECIPE = "smollm2-135m"
_SFT_NOTE = "4,096 tokens a batch, activation checkpointing"


def decoding(setting: Setting) -> Iterator[Measured]:
    """The engine over `generate`, its share of the matrix-product rate, and shared prompts."""
    model, vocabulary = _loaded(setting.base, fastest_dtype())
    engine = Engine(model, vocabulary, max_batch=_PROMPTS * _ROLLOUTS, max_length=1024)
    prompts = _prompts(vocabulary, _ROWS, 60)
    ours, theirs, shares, stricter = [], [], [], []
    for _ in range(setting.repeats):
        ours.append(_rate(lambda: _decode(engine, prompts, _TOKENS)))
        theirs.append(_rate(lambda: _generate(model, prompts)))
        linear, rearranged = _step_rates(model)
        shares.append(100 * ours[-1] / (linear * _ROWS))
        stricter.append(100 * ours[-1] / (rearranged * _ROWS))
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    note = f"{_ROWS} rows of {_TOKENS} tokens, both in {fastest_dtype()}; {rates_note()}"
    yield Measured.repeated("over generate", ratios, "times", "at least 2", note)
    yield Measured.repeated("tokens", ours, "tokens/s")
    note = f"over a chain of torch's linear layers, {_ROWS} rows, all weights of a step"
    yield Measured.repeated("of the rate of its products", shares, "%", "at least 50", note)
    note = "the same, with weights in oneDNN's layout, as the engine has them"
    yield Measured.repeated("of the rate of rearranged products", stricter, "%", note=note)
    yield _shared_prompts(setting, engine, vocabulary)


def _shared_prompts(setting: Setting, engine: Engine, vocabulary: Vocabulary) -> Measured:
    prompts = [p for p in _prompts(vocabulary, _PROMPTS, _LONG_PROMPT) for _ in range(_ROLLOUTS)]
    apart = [(100 + i % _ROLLOUTS, *p[1:]) for i, p in enumerate(prompts)]  # none shares
    ratios = [
        _rate(lambda: _decode(engine, prompts, _SHORT_ANSWER))
        / _rate(lambda: _decode(engine, apart, _SHORT_ANSWER))
        for _ in range(setting.repeats)
    ]
    note = f"{_LONG_PROMPT} tokens of prompt, {_SHORT_ANSWER} of answer"
    return Measured.repeated(
        f"{_PROMPTS} prompts with {_ROLLOUTS} rollouts over {_PROMPTS * _ROLLOUTS} prompts",
        ratios,
        "times",
        "at least 1.5",
        note,
    )


def against_vllm(setting: Setting) -> Iterator[Measured]:
    """The engine over vLLM on the CPU, in rounds that alternate."""
    model, vocabulary = _loaded(setting.base, fastest_dtype())
    engine = Engine(model, vocabulary, max_batch=_ROWS, max_length=1024)
    prompts = _prompts(vocabulary, _ROWS, 60)
    with vllm_rival.contestant(model, prompts, _TOKENS) as rival:
        ratios = [
            _rate(lambda: _decode(engine, prompts, _TOKENS)) / _rate(rival)
            for _ in range(setting.repeats)
        ]
    note = f"{_ROWS} rows of {_TOKENS} tokens, both in {fastest_dtype()}, vLLM eager"
    yield Measured.repeated("over vllm", ratios, "times", "at least 1.2", note)


def server(setting: Setting) -> Iterator[Measured]:
    """The server with 32 clients over the engine, and the wait for the first token with 16."""
    with _saved(setting.base) as folder:
        yield from serving.load(
            folder, setting.repeats, clients=_MANY_CLIENTS, num_requests=2 * _MANY_CLIENTS
        )
        yield from serving.first_token(folder, setting.repeats, requests_each=3)


def training(setting: Setting) -> Iterator[Measured]:
    """SFT's trainer over a plain loop with transformers' own loss, and over the product rate."""
    ratios, shares = [], []
    for _ in range(setting.repeats):
        speed = _train(setting.base)
        ratios.append(speed / _train_plainly(setting.base))
        flops = 6 * _parameters(_loaded(setting.base, torch.float32)[0]) * speed
        shares.append(100 * flops / 1e9 / matmul_rates()["bf16"])
    note = f"{_BATCH_ROWS} × {_ROW_TOKENS} tokens a batch, {_BATCHES} batches; {rates_note()}"
    yield Measured.repeated("over a plain loop", ratios, "times", "at least 1.1", note)
    yield Measured.repeated("of the bf16 rate", shares, "%", "at least 45", note)


def memory(setting: Setting) -> Iterator[Measured]:
    """Peak memory of the server and of SFT."""
    with _saved(setting.base) as folder:
        peak = _server_peak(folder)
    note = f"{_CLIENTS} clients, 400 tokens each"
    yield Measured.repeated("server", [peak], "GB", "at most 1.5", note)
    yield Measured.repeated("SFT", [_training_peak(setting.base)], "GB", "at most 4", _SFT_NOTE)
    yield _planned(setting.base)


def lora_memory(setting: Setting) -> Iterator[Measured]:
    """Peak memory of SFT with LoRA."""
    ranks = ("cpt.lora_rank=16", "sft.lora_rank=16")
    peak = _training_peak(setting.base, *(part for rank in ranks for part in ("--set", rank)))
    yield Measured.repeated("SFT", [peak], "GB", "at most 6", f"rank 16, {_SFT_NOTE}")
    yield _planned(setting.base, *ranks)


def _planned(base: str, *settings: str) -> Measured:
    """The figure of `steiner plan` for the same SFT."""
    stages = plan.plan(load_recipe(_RECIPE, settings), plan.shape_of(base), plan.Devices())
    [sft] = [stage for stage in stages if stage.name == "sft"]
    planned = sft.needed / 1e9
    return Measured("SFT, planned", planned, planned, planned, "GB", note="by steiner plan")


def _loaded(base: str, dtype: torch.dtype) -> tuple[PreTrainedModel, Vocabulary]:
    model, tokenizer = load_model(base, dtype)
    return model.eval(), add_reasoning_vocabulary(model, tokenizer)


@contextmanager
def _saved(base: str) -> Iterator[Path]:
    """A folder with the base in bf16 and the reasoning tokens, as a server takes it."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        model, vocabulary = _loaded(base, torch.bfloat16)
        save_model(model, vocabulary.tokenizer, folder)
        del model  # the server loads a copy of its own
        yield folder


def _parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _prompts(vocabulary: Vocabulary, count: int, length: int) -> list[tuple[int, ...]]:
    ids = vocabulary.encode_text("take two jugs and fill them from the tap, then pour " * length)
    return [tuple(ids[start : start + length]) for start in range(count)]


def _rate(run: Callable[[], int]) -> float:
    start = time.perf_counter()
    return run() / (time.perf_counter() - start)


def _decode(engine: Engine, prompts: Sequence[tuple[int, ...]], tokens: int) -> int:
    budget = Budget(min_steps=tokens, max_tokens=tokens)  # no search ends before
    requests = [Request(p, budget, Sampling(1.0, seed=i)) for i, p in enumerate(prompts)]
    return sum(len(rollout.token_ids) for rollout in engine.generate(requests))


def _generate(model: Any, prompts: Sequence[tuple[int, ...]]) -> int:
    ids = torch.tensor(prompts)
    with torch.inference_mode():
        output = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            top_k=0,
            max_new_tokens=_TOKENS,
            min_new_tokens=_TOKENS,
            pad_token_id=0,
        )
    return int(output.shape[0] * (output.shape[1] - ids.shape[1]))


def _step_rates(model: PreTrainedModel) -> tuple[float, float]:
    """Steps a second if decoding _ROWS rows were its matrix products alone: by torch's linear
    layers, and by the engine's."""
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    rearranged = [Projection(layer.weight) for layer in layers]
    inputs = [torch.rand(_ROWS, layer.in_features, dtype=layer.weight.dtype) for layer in layers]
    return _calls_per_second(layers, inputs), _calls_per_second(rearranged, inputs)


@torch.inference_mode()
def _calls_per_second(
    layers: Sequence[Callable[[torch.Tensor], torch.Tensor]], inputs: Sequence[torch.Tensor]
) -> float:
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        for layer, one in zip(layers, inputs, strict=True):
            layer(one)
        seconds.append(time.perf_counter() - start)
    return 1 / min(seconds)


def _rows(vocab_size: int) -> list[TokenSequence]:
    ids = np.random.default_rng(0).integers(0, vocab_size - 20, (_BATCH_ROWS, _ROW_TOKENS))
    return [TokenSequence(tuple(row), (1.0,) * _ROW_TOKENS) for row in ids.tolist()]


def _train(base: str) -> float:
    """Tokens a second of SFT's trainer, without its start."""
    model, vocabulary = _loaded(base, torch.float32)
    clock = _StepTimes()
    schedule = Schedule(
        tokens=(_BATCHES + 1) * _BATCH_ROWS * _ROW_TOKENS,
        batch_tokens=_BATCH_ROWS * _ROW_TOKENS,
        muon_lr=0.0,
        adam_lr=1e-5,
        warmup_fraction=0.0,
        seed=0,
        bf16=fastest_dtype() is torch.bfloat16,
        attention="auto",
        report_to="none",
        save_every_steps=1000,
        activation_checkpointing=False,
    )
    rows = _rows(len(vocabulary.tokenizer))
    with TemporaryDirectory() as folder:
        train_sequences(model, vocabulary.tokenizer, rows, schedule, Path(folder), clock)
    return _BATCHES * _BATCH_ROWS * _ROW_TOKENS / (clock.ends[-1] - clock.ends[0])


def _train_plainly(base: str) -> float:
    """The same of a plain loop: transformers' own loss, autocast, sdpa, AdamW."""
    model: Any = _loaded(base, torch.float32)[0].train()
    model.set_attn_implementation("sdpa")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    ids = torch.tensor([row.token_ids for row in _rows(model.config.vocab_size)])
    ends = []
    for _ in range(_BATCHES + 1):
        with torch.autocast("cpu", fastest_dtype(), enabled=fastest_dtype() is torch.bfloat16):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        ends.append(time.perf_counter())
    return _BATCHES * _BATCH_ROWS * _ROW_TOKENS / (ends[-1] - ends[0])


def _server_peak(model: Path) -> float:
    """GB of a server while clients ask it."""
    peak = 0
    done = threading.Event()

    def sample(process: psutil.Process) -> None:
        nonlocal peak
        while not done.wait(0.2):
            peak = max(peak, memory_bytes(process.pid))

    body = {"messages": [{"role": "user", "content": "Make 24 from 3, 5, 7 and 9."}]}
    with served(model) as server:
        [process] = psutil.Process().children()
        watcher = threading.Thread(target=sample, args=(process,))
        watcher.start()
        try:
            ask_all(server, [body | {"max_tokens": 400}] * _CLIENTS, _CLIENTS)
        finally:
            done.set()
            watcher.join()
    return peak / 1e9


def _training_peak(base: str, *options: str) -> float:
    """GB of SFT by the recipe for real bases, on a few batches."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "steiner"]
        shared = ["--recipe", _RECIPE, "--base", base, "--out", folder, *options]
        for stage in ("cpt", "sft"):
            shared += ["--set", f"{stage}.tokens={_TRAINED_TOKENS}"]
        shared += ["--set", "synth.dags=200", "--set", "synth.paths=400"]
        subprocess.run([*command, "synth", *shared], check=True, stdout=sys.stderr)
        subprocess.run([*command, "train", "cpt", *shared], check=True, stdout=sys.stderr)
        return watch([*command, "train", "sft", *shared]).peak_gb


class _StepTimes(TrainerCallback):
    """The time at the end of each optimiser step."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Notes the time."""
        self.ends.append(time.perf_counter())


FIGURES: Mapping[str, Figure] = {
    "base-decoding": decoding,
    "base-vllm": against_vllm,
    "base-server": server,
    "base-training": training,
    "base-memory": memory,
    "base-lora": lora_memory,
}
