"""A tiny model that knows one search by heart, so that tests see a real one from end to end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings
from transformers import Qwen2ForCausalLM

from steiner.dags.build import build_dag
from steiner.dags.paths import Walk, sample_paths
from steiner.language.codec import Codec
from steiner.language.tokenizer import Vocabulary, add_reasoning_tokens, train_tokenizer
from steiner.problems import load_phrases, random_stream, recognise
from steiner.types import Decision, Sequence
from steiner.types import Path as SearchPath
from tests.small_model import small_qwen2

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

QUESTION = "Use each of 8, 4, 3 once to reach 15."


@pytest.fixture(scope="session")
def known_path() -> SearchPath:
    """The search that the model knows: it backtracks twice."""
    problem = recognise(QUESTION)
    assert problem is not None
    paths = sample_paths(build_dag(problem), 50, Walk(explore=0.6, cut=0), random_stream("known"))
    return next(path for path in paths if _num_backtracks(path) == 2)


def _num_backtracks(path: SearchPath) -> int:
    return sum(step.decision is Decision.BACKTRACK for step in path.steps)


@pytest.fixture(scope="session")
def model_dir(known_path: SearchPath, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder."""
    tokenizer = train_tokenizer(load_phrases("countdown").wording * 20, 700)
    add_reasoning_tokens(tokenizer)
    sequence = Codec(Vocabulary.require(tokenizer)).encode_path(known_path)
    torch.manual_seed(0)
    model = small_qwen2(len(tokenizer) + 6, max_position_embeddings=1024)
    learn_by_heart(model, sequence)
    folder = tmp_path_factory.mktemp("known") / "model"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def learn_by_heart(model: Qwen2ForCausalLM, sequence: Sequence) -> None:
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
    pytest.fail(f"the search was not learnt: loss {loss}")
