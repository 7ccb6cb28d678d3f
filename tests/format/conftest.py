"""A small tokenizer trained on the tasks' wording, and a model folder with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import Qwen2Config

from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens, train_tokenizer
from steiner.tasks import load_phrases, tasks


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    words = [text for name in tasks() for text in load_phrases(name).wording]
    tokenizer = train_tokenizer(words * 20, 700)
    add_reasoning_tokens(tokenizer)
    return Vocabulary.require(tokenizer)


@pytest.fixture(scope="session")
def model_folder(vocabulary: Vocabulary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    vocabulary.tokenizer.save_pretrained(folder)
    Qwen2Config(vocab_size=len(vocabulary.tokenizer)).save_pretrained(folder)
    return folder
