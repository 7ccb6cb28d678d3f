"""Decoding speed of the engine relative to transformers' `generate` and to vLLM on a CPU.

Setting -> ratios of tokens per second, same weights and prompts, in alternating rounds of one run

Each rival runs in fp32 and in bf16, and the faster of the two counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from statistics import median

from benchmarks import engine, vllm_rival
from benchmarks.machine import rates_note
from benchmarks.results import Measured
from benchmarks.setting import Figure, Setting

_DTYPES = ("float32", "bfloat16")


def ratios(setting: Setting) -> Iterator[Measured]:
    """Over both rivals."""
    with ExitStack() as processes:
        others = {dtype: processes.enter_context(_vllm(dtype)) for dtype in _DTYPES}
        named = {f"vllm {dtype}": run for dtype, run in others.items()}
        compared = engine.compare(setting.repeats, others=named)
    name, least = min(compared.other_ratios.items(), key=lambda item: median(item[1]))
    faster = max(compared.generate, key=lambda dtype: compared.generate[dtype])
    note = f"generate in {faster}; {rates_note()}"
    target = "at least 2"
    yield Measured.repeated("over generate", compared.ratios, "times", target, note)
    yield Measured.repeated("over vllm", least, "times", "at least 1.3", f"{name}, eager")


def _vllm(dtype: str) -> AbstractContextManager[Callable[[], int]]:
    model, vocabulary = engine.embedded_model(dtype)
    return vllm_rival.contestant(model, engine.prompts_of(vocabulary), engine.NUM_TOKENS)


FIGURES: Mapping[str, Figure] = {"engine": ratios}
