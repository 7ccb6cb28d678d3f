"""A tiny model that has memorised one search, so that tests use a real model end to end."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from hypothesis import HealthCheck, settings
from transformers import PreTrainedTokenizerBase, Qwen2ForCausalLM

from steiner.dags.path_sampling import Walk, sample_paths
from steiner.dags.solver import build_dag
from steiner.format.codec import Codec
from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens, train_tokenizer
from steiner.randomness import random_stream
from steiner.recipe import BaseRecipe
from steiner.tasks import Task, load_phrases, problem_key_of, register, tasks, unregister
from steiner.training.pretrain import new_model
from steiner.types import Decision, Message, Problem, SearchPath, TokenSequence
from tests.small_model import small_qwen2
from tests.toy_task import TOY_TASK

# The time of an example depends on how busy the machine is, not on the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

QUESTION = "Use each of 8, 4, 3 once to reach 15."


@pytest.fixture(autouse=True)
def same_tasks() -> Iterator[None]:
    """Unregisters the tasks that a test leaves behind."""
    before = set(tasks())
    yield
    for name in tasks().keys() - before:
        unregister(name)


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub at a local port without a server."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")


@pytest.fixture
def toy_task() -> Iterator[Task]:
    """A registered task with a generator and a grader only."""
    register(TOY_TASK)
    yield TOY_TASK
    unregister(TOY_TASK.name)


@pytest.fixture(scope="session")
def known_path() -> SearchPath:
    """The search that the model has memorised; it backtracks twice."""
    spec = {"numbers": [8, 4, 3], "target": 15}
    key, messages = problem_key_of("countdown", spec), (Message("user", QUESTION),)
    problem = Problem("countdown", key, 1, "en", messages, spec)
    walk, rng = Walk(explore=0.6, cut=0), random_stream("known")
    paths = sample_paths(build_dag(problem), [problem] * 50, walk, rng)
    return next(path for path in paths if _num_backtracks(path) == 2)


def _num_backtracks(path: SearchPath) -> int:
    return sum(step.decision is Decision.BACKTRACK for step in path.steps)


def _wording(*names: str) -> list[str]:
    """The texts of the tasks' steps, and of the step that reads the question."""
    return [text for name in ("common", *names) for text in load_phrases(name).wording]


@pytest.fixture(scope="session")
def model_dir(known_path: SearchPath, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model that writes this search."""
    tokenizer = train_tokenizer([QUESTION, *_wording("countdown")] * 20, 700)
    add_reasoning_tokens(tokenizer)
    sequence = Codec(Vocabulary.require(tokenizer)).encode_path(known_path)
    torch.manual_seed(0)
    model = small_qwen2(len(tokenizer) + 6, max_position_embeddings=1024)
    learn_by_heart(model, sequence)
    folder = tmp_path_factory.mktemp("known") / "model"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def learn_by_heart(model: Qwen2ForCausalLM, sequence: TokenSequence) -> None:
    """Trains the model until it writes the sequence by itself."""
    ids = torch.tensor([sequence.token_ids])
    optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
    for _ in range(200):
        loss = model(ids, labels=ids).loss
        if loss < 0.02:
            return
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    pytest.fail(f"the search was not learned: loss {loss}")


TINY = BaseRecipe(
    hidden_size=32,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    intermediate_size=64,
    max_positions=512,
)


@pytest.fixture(scope="session")
def base_tokenizer() -> PreTrainedTokenizerBase:
    """A base model's tokenizer without the 14 tokens; tests must not change it."""
    return train_tokenizer(_wording(*tasks()) * 5, 600)


@pytest.fixture
def tokenizer(base_tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """A copy of it that tests may add tokens to."""
    return deepcopy(base_tokenizer)


@pytest.fixture(scope="session")
def make_model(base_tokenizer: PreTrainedTokenizerBase) -> Callable[[], Qwen2ForCausalLM]:
    """A function that makes the same model each time."""

    def make() -> Qwen2ForCausalLM:
        torch.manual_seed(0)
        return new_model(TINY, base_tokenizer)

    return make
