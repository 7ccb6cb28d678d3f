"""A tiny random model, and real servers on loopback that serve it."""

from __future__ import annotations

import asyncio
import string
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import torch
import uvicorn
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from steiner.format.tokenizer import (
    CHAT_TEMPLATE,
    PAD,
    TURN_END,
    TURN_START,
    Vocabulary,
    add_reasoning_tokens,
)
from steiner.inference.model_loading import load_reasoning_model
from steiner.serving.app import create_app
from steiner.serving.server import StoppableServer, listen
from steiner.serving.service import Service
from steiner.serving.settings import Settings
from tests.small_model import small_qwen2

MAX_LENGTH = 4096


def letter_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of printable ASCII, which needs no training, with the 14 reasoning tokens."""
    decoder = decoders.ByteLevel()
    letters = (
        letter
        for letter in sorted(pre_tokenizers.ByteLevel.alphabet())
        if decoder.decode([letter]) in {*string.printable[:95], "\n"}
    )
    alphabet = [PAD, TURN_START, TURN_END, *letters]
    core = Tokenizer(models.BPE({token: index for index, token in enumerate(alphabet)}, []))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoder
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=TURN_END,
        additional_special_tokens=[TURN_START],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
    add_reasoning_tokens(tokenizer)
    return tokenizer


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    write_model(folder)
    return folder


def write_model(folder: Path) -> None:
    """A random Qwen2, inclined to end what it has begun."""
    tokenizer = letter_tokenizer()
    torch.manual_seed(0)
    model = small_qwen2(
        len(tokenizer),
        48,
        num_attention_heads=6,
        initializer_range=0.2,
        max_position_embeddings=MAX_LENGTH,
    ).eval()
    with torch.no_grad():
        for token in Vocabulary.require(tokenizer).special_ids:
            model.get_input_embeddings().weight[token] *= 2
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.fixture(scope="session")
def vocabulary(model_folder: Path) -> Vocabulary:
    return load_reasoning_model(model_folder)[1]


@dataclass(frozen=True)
class Served:
    """A server that runs in a thread of this process."""

    url: str
    service: Service

    def client(self, api_key: str = "none") -> openai.OpenAI:
        """OpenAI's client, which tries nothing twice; to be closed."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=api_key, max_retries=0)

    def chat(self, text: str = "Make 24 from 3, 5, 7, 9.", **fields: Any) -> httpx.Response:
        """A short chat request by bare HTTP."""
        return httpx.post(f"{self.url}/v1/chat/completions", json=body(text, **fields), timeout=60)

    def stream(self, text: str = "Make 24 from 3, 5, 7, 9.", **fields: Any) -> Any:
        """The same, streamed: a context with the response."""
        url, fields = f"{self.url}/v1/chat/completions", {"stream": True} | fields
        return httpx.stream("POST", url, json=body(text, **fields), timeout=60)

    def wait_until_idle(self, timeout_s: float = 10) -> None:
        """Until nothing runs or waits."""
        deadline = time.monotonic() + timeout_s
        while not self.service.idle:
            assert time.monotonic() < deadline, "a place has not been given back"
            time.sleep(0.01)


def body(text: str, **fields: Any) -> dict[str, Any]:
    """A chat request that a random model answers in a moment."""
    messages = [{"role": "user", "content": text}]
    return {"model": "steiner", "messages": messages, "max_tokens": 240, "max_steps": 3} | fields


@pytest.fixture(scope="session")
def endless() -> dict[str, Any]:
    """Fields that keep a random model busy until its context is full, which takes seconds."""
    return {"min_steps": 900, "max_steps": 900, "max_tokens": MAX_LENGTH}


@contextmanager
def running(service: Service) -> Iterator[Served]:
    """The service on a port of its own, for as long as the block runs."""
    listener = listen("127.0.0.1", 0)
    app = create_app(service)
    config = uvicorn.Config(app, log_level="error", ws="none", timeout_graceful_shutdown=10)
    server = StoppableServer(config, service)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", service)
    finally:
        server.should_exit = True
        thread.join(15)
        if thread.is_alive():  # seen twice in whole runs, and never explained
            tasks = asyncio.all_tasks(server.servers[0].get_loop())
            print(f"a server did not stop; its tasks: {tasks}", file=sys.__stderr__)
        server.force_exit = True  # if a shutdown hangs, so must not the tests
        thread.join(15)


@pytest.fixture(scope="session")
def serve(model_folder: Path) -> Callable[[Settings], AbstractContextManager[Served]]:
    """A server with given settings, for as long as its context lasts."""

    return lambda settings: running(Service.load(str(model_folder), settings))


@pytest.fixture(scope="session")
def served(serve: Callable[[Settings], AbstractContextManager[Served]]) -> Iterator[Served]:
    """The server that most tests share."""
    with serve(Settings()) as server:
        yield server


@pytest.fixture(scope="session")
def client(served: Served) -> Iterator[openai.OpenAI]:
    """OpenAI's client of that server."""
    with served.client() as opened:
        yield opened
