"""Tokens per second of the engine and of transformers' `generate`, same weights, one run.

-> Comparison;  python -m benchmarks.engine

64 sequences of 256 tokens from prompts of 40 to 80, sampled at temperature 1, by the embedded
base. Rounds of both alternate, so that a busy machine slows both alike;
`generate` is measured in float32 and in bfloat16, and the faster of the two is the rival.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch
from transformers import PreTrainedModel

from steiner.format.tokenizer import Vocabulary
from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.request import Request
from steiner.inference.sampling import Sampling
from steiner.models.loading import load_model
from steiner.models.precision import fastest_dtype
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.recipe import EMBEDDED_BASE

NUM_SEQUENCES = 64
NUM_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Comparison:
    """Tokens per second, and their ratio to `generate`."""

    engine: float
    generate: dict[str, float]
    ratio_best: float
    """Over `generate` in its faster dtype."""
    ratio_same_dtype: float
    ratios: tuple[float, ...]
    """`ratio_best` of each round."""
    other_ratios: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Over each of the other contestants, in each round."""


def compare(rounds: int = 3, others: Mapping[str, Callable[[], int]] | None = None) -> Comparison:
    """Measures in alternating rounds; speeds and ratios are medians.

    `others` join in: each writes its tokens for `embedded_model` and `prompts_of` when called, and
    returns how many.
    """
    own = str(fastest_dtype()).removeprefix("torch.")
    loaded = {name: embedded_model(name) for name in ("float32", "bfloat16")}
    models = {name: model for name, (model, _) in loaded.items()}
    vocabulary = loaded[own][1]
    prompts = prompts_of(vocabulary)
    engine = Engine(models[own], vocabulary, max_batch=NUM_SEQUENCES)
    contestants: dict[str, Callable[[], int]] = {
        "engine": lambda: _run_engine(engine, prompts),
        "float32": lambda: _run_generate(models["float32"], prompts),
        "bfloat16": lambda: _run_generate(models["bfloat16"], prompts),
        **(others or {}),
    }
    speeds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            speeds[name].append(_tokens_per_second(run))
    middle = {name: median(values) for name, values in speeds.items()}
    rival = max(models, key=lambda name: middle[name])
    ratios = {
        name: tuple(a / b for a, b in zip(speeds["engine"], values, strict=True))
        for name, values in speeds.items()
    }
    return Comparison(
        engine=middle["engine"],
        generate={name: middle[name] for name in models},
        ratio_best=median(ratios[rival]),
        ratio_same_dtype=median(ratios[own]),
        ratios=ratios[rival],
        other_ratios={name: ratios[name] for name in others or {}},
    )


def _tokens_per_second(run: Callable[[], int]) -> float:
    start = time.perf_counter()
    num_tokens = run()
    return num_tokens / (time.perf_counter() - start)


def _run_engine(engine: Engine, prompts: list[tuple[int, ...]]) -> int:
    # min_steps keeps a random model from ending before its 256 tokens are written.
    budget = Budget(min_steps=NUM_TOKENS, max_tokens=NUM_TOKENS)
    requests = [
        Request(prompt, budget, Sampling(temperature=1.0, seed=index))
        for index, prompt in enumerate(prompts)
    ]
    return sum(len(rollout.token_ids) for rollout in engine.generate(requests))


def _run_generate(model: Any, prompts: list[tuple[int, ...]]) -> int:
    width = max(map(len, prompts))
    ids = torch.tensor([(0,) * (width - len(prompt)) + prompt for prompt in prompts])
    real = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    with torch.inference_mode():
        output = model.generate(
            ids,
            attention_mask=real,
            do_sample=True,
            top_k=0,
            max_new_tokens=NUM_TOKENS,
            eos_token_id=None,
            pad_token_id=0,
        )
    return int((output.shape[1] - width) * output.shape[0])


def embedded_model(dtype: str) -> tuple[PreTrainedModel, Vocabulary]:
    """The embedded base with room for the reasoning tokens, the same weights each time."""
    torch.manual_seed(0)
    model, tokenizer = load_model(EMBEDDED_BASE, getattr(torch, dtype))
    vocabulary = add_reasoning_vocabulary(model, tokenizer)
    return model.eval(), vocabulary


def prompts_of(vocabulary: Vocabulary) -> list[tuple[int, ...]]:
    """NUM_SEQUENCES prompts of 40 to 80 tokens."""
    ids = vocabulary.encode_text("take two jugs and fill them from the tap " * 20)
    return [tuple(ids[: 40 + 40 * index // NUM_SEQUENCES]) for index in range(NUM_SEQUENCES)]


if __name__ == "__main__":
    print(compare())
