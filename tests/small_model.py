"""Random Qwen2 models small enough for tests."""

from __future__ import annotations

from typing import Any

from transformers import Qwen2Config, Qwen2ForCausalLM


def small_qwen2(vocab_size: int, hidden_size: int = 32, **changes: Any) -> Qwen2ForCausalLM:
    """A model from torch's current random state: two layers, four heads on two KV heads, tied
    embeddings. `changes` replace fields of its Qwen2Config."""
    shape: dict[str, Any] = {
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 2 * hidden_size,
        "tie_word_embeddings": True,
        "initializer_range": 0.1,
    }
    config = Qwen2Config(vocab_size=vocab_size, hidden_size=hidden_size, **shape | changes)
    return Qwen2ForCausalLM(config)
