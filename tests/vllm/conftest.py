"""vLLM with our plugins on loopback, and the embedded engine with the same model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from benchmarks.vllm_server import vllm_served
from steiner.format.codec import Codec
from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens, train_tokenizer
from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.model_loading import load_reasoning_model
from steiner.inference.request import Request
from steiner.tasks import load_phrases
from steiner.types import Message, Rollout, SearchPath
from tests.conftest import learn_by_heart
from tests.small_model import small_qwen2

MAX_LENGTH = 1024
_NUM_BLOCKS = 20
"""Cache blocks of 128 tokens: too few for 8 long completions at once."""


@pytest.fixture(scope="session")
def model_dir(known_path: SearchPath, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows one search by heart; its heads have a width that vLLM has on CPUs."""
    tokenizer = train_tokenizer(load_phrases("countdown").wording * 20, 700)
    add_reasoning_tokens(tokenizer)
    torch.manual_seed(0)
    model = small_qwen2(
        len(tokenizer) + 6,
        64,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=MAX_LENGTH,
        eos_token_id=tokenizer.eos_token_id,
    )
    learn_by_heart(model, Codec(Vocabulary.require(tokenizer)).encode_path(known_path))
    folder = tmp_path_factory.mktemp("known") / "model"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@dataclass(frozen=True)
class Embedded:
    """The embedded engine."""

    engine: Engine
    vocabulary: Vocabulary

    def rollout(self, question: str, **limits: Any) -> Rollout:
        """Its greedy completion within a budget; max_tokens defaults to the room in the context."""
        prompt = tuple(self.vocabulary.encode_prompt([Message("user", question)]))
        limits.setdefault("max_tokens", MAX_LENGTH - len(prompt))
        return self.engine.generate([Request(prompt, Budget(**limits))])[0]


@pytest.fixture(scope="session")
def embedded(model_dir: Path) -> Embedded:
    model, vocabulary = load_reasoning_model(model_dir)
    return Embedded(Engine(model, vocabulary, max_length=MAX_LENGTH), vocabulary)


Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="session")
def url(model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of vLLM, started with the options in docs/serving.md and docs/scaling.md."""
    log = tmp_path_factory.mktemp("vllm") / "log"
    options = (
        *("--logits-processors", "steiner.serving.vllm.logits_processor:StepBudget"),
        *("--reasoning-parser-plugin", "steiner.serving.vllm.reasoning_parser"),
        *("--reasoning-parser", "steiner"),
        *("--dtype", "float32", "--enforce-eager", "--max-num-seqs", "8"),
        *("--num-gpu-blocks-override", str(_NUM_BLOCKS)),
        *("--logprobs-mode", "processed_logprobs"),
    )
    environment = {"VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_SERVER_DEV_MODE": "1"}
    with vllm_served(model_dir, log, *options, environment=environment) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture(scope="session")
def ask(url: str) -> Ask:
    """A chat request by plain HTTP; greedy by default."""

    def post(question: str, **fields: Any) -> httpx.Response:
        messages = [{"role": "user", "content": question}]
        body = {"model": "steiner", "messages": messages, "temperature": 0} | fields
        return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=300)

    return post
