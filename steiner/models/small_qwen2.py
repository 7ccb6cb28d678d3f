"""Loads a small Qwen2 without importing transformers.

model folder -> (weights laid out as transformers does, Vocabulary)

`steiner solve` should show its first step within seconds, and importing transformers alone takes
that long. The engine's PackedDecoder needs weights and a few numbers, and the Vocabulary needs a
few methods of a tokenizer. A folder that differs from what this file expects is loaded by
transformers. Tests check that both ways give the same tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from steiner.files import reason_and_hint
from steiner.format.tokenizer import CHAT_TEMPLATE, Vocabulary
from steiner.types import UserError

if TYPE_CHECKING:
    from jinja2 import Template
    from tokenizers import AddedToken
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_CONFIG, _WEIGHTS, _TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
_SETTINGS, _TEMPLATE = "tokenizer_config.json", "chat_template.jinja"
_GENERATION = "generation_config.json"
_MAX_BYTES = 400_000_000
"""Above this, reading the weights takes longer than importing transformers."""
_EXPECTED = {
    "model_type": "qwen2",
    "architectures": ["Qwen2ForCausalLM"],
    "hidden_act": "silu",
    "tie_word_embeddings": True,
    "use_sliding_window": False,
}


def is_supported(folder: Path) -> bool:
    """True if this file can load the model in the folder, such as one that Steiner has trained."""
    try:
        config, settings = _read(folder / _CONFIG), _read(folder / _SETTINGS)
        template = (folder / _TEMPLATE).read_text(encoding="utf-8")
        small = (folder / _WEIGHTS).stat().st_size <= _MAX_BYTES
    except (OSError, ValueError):
        return False
    return (
        small
        and template == CHAT_TEMPLATE
        and (folder / _TOKENIZER).is_file()
        and not settings.get("clean_up_tokenization_spaces", True)
        and all(config.get(key) == value for key, value in _EXPECTED.items())
        and config.get("rope_parameters", {}).get("rope_type") == "default"
        and "quantization_config" not in config
    )


def load(folder: Path, dtype: torch.dtype) -> tuple[PreTrainedModel, Vocabulary]:
    """The model and its vocabulary.

    Raises UserError if the files are damaged or the tokenizer lacks the 14 tokens.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tokenizer = SmallTokenizer(folder)
        vocabulary = Vocabulary.require(cast("PreTrainedTokenizerBase", tokenizer))
        model = SmallQwen2(_read(folder / _CONFIG), _optional(folder / _GENERATION))
        model.fill(load_file(folder / _WEIGHTS))
    except UserError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        damaged = "the folder is damaged: delete it and train again, or name another"
        reason, hint = reason_and_hint(error, damaged)
        raise UserError(f"cannot load a model from {folder}: {reason}", hint) from error
    return cast("PreTrainedModel", model.to(dtype).eval()), vocabulary


def _read(file: Path) -> dict[str, Any]:
    record = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(record, dict):
        raise ValueError(f"{file.name} is no JSON object")
    return record


def _optional(file: Path) -> dict[str, Any]:
    return _read(file) if file.is_file() else {}


# ---------------------------------------------------------------------- weights


class SmallQwen2(nn.Module):
    """The weights of a Qwen2ForCausalLM under their usual names, for PackedDecoder."""

    def __init__(self, config: Mapping[str, Any], generation_config: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = SimpleNamespace(**config)
        self.generation_config = SimpleNamespace(**generation_config)
        # On the CPU, although overwritten at once: the meta device imports torch._dynamo, 1.2 s.
        self.model = _Layers(self.config)
        self.lm_head = nn.Linear(config["hidden_size"], config["vocab_size"], bias=False)
        self.model.rotary_emb = _rotary_of(self.config)

    def fill(self, weights: dict[str, torch.Tensor]) -> None:
        """Sets the weights. Raises RuntimeError if they do not fit in name or shape."""
        embedding = weights["model.embed_tokens.weight"]
        self.load_state_dict({**weights, "lm_head.weight": embedding}, assign=True)
        self.lm_head.weight = self.model.embed_tokens.weight

    def get_output_embeddings(self) -> nn.Linear:
        """The output projection."""
        return self.lm_head

    def num_parameters(self) -> int:
        """Number of weights."""
        return sum(weight.numel() for weight in self.parameters())

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.lm_head.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The number format of the weights."""
        return self.lm_head.weight.dtype


class _Layers(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = _Norm(config)
        self.rotary_emb: Any = None


class _Layer(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.self_attn, self.mlp = _Attention(config), _FeedForward(config)
        self.input_layernorm, self.post_attention_layernorm = _Norm(config), _Norm(config)


class _Attention(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        width, head = config.hidden_size, _head_width(config)
        queries, keys = config.num_attention_heads * head, config.num_key_value_heads * head
        self.q_proj, self.k_proj = nn.Linear(width, queries), nn.Linear(width, keys)
        self.v_proj, self.o_proj = nn.Linear(width, keys), nn.Linear(queries, width, bias=False)


class _FeedForward(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.intermediate_size
        self.gate_proj, self.up_proj = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(inner, width, bias=False)


class _Norm(nn.Module):
    def __init__(self, config: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config.hidden_size))
        self.variance_epsilon = config.rms_norm_eps


def _head_width(config: Any) -> int:
    return int(
        getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    )


def _rotary_of(config: Any) -> Any:
    """The rotary embedding of transformers: (reference, positions (1, T)) -> cos, sin (1, T, d)."""
    width = _head_width(config)
    exponents = torch.arange(0, width, 2, dtype=torch.int64).float() / width
    inverse_frequency = 1.0 / (config.rope_parameters["rope_theta"] ** exponents)

    def rotary(
        reference: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        angles = positions[..., None].float() * inverse_frequency.to(positions.device)
        both = torch.cat([angles, angles], -1)
        return both.cos().to(reference.dtype), both.sin().to(reference.dtype)

    return rotary


# ---------------------------------------------------------------------- tokenizer


class SmallTokenizer:
    """The part of a transformers tokenizer that Vocabulary uses, on the `tokenizers` library."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
        except Exception as error:  # the library raises no narrower one
            raise ValueError(f"{_TOKENIZER}: {error}") from error
        self._pad = _read(folder / _SETTINGS).get("pad_token")

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def get_vocab(self) -> dict[str, int]:
        """Id of each token."""
        return self._vocab

    @cached_property
    def _vocab(self) -> dict[str, int]:
        return dict(self._tokenizer.get_vocab(with_added_tokens=True))

    @property
    def pad_token_id(self) -> int | None:
        """Id of the padding token."""
        return None if self._pad is None else self._vocab.get(str(self._pad))

    @cached_property
    def added_tokens_decoder(self) -> dict[int, AddedToken]:
        """The added tokens by id, special ones included."""
        return dict(self._tokenizer.get_added_tokens_decoder())

    def encode(
        self, text: str, add_special_tokens: bool = True, split_special_tokens: bool = False
    ) -> list[int]:
        """Ids of a text. With `split_special_tokens`, strings of special tokens are plain text."""
        self._tokenizer.encode_special_tokens = split_special_tokens
        return list(self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids)

    def decode(self, token_ids: list[int], skip_special_tokens: bool = False) -> str:
        """Text of the ids."""
        return str(self._tokenizer.decode(token_ids, skip_special_tokens=skip_special_tokens))

    def apply_chat_template(
        self, dialogue: Sequence[Mapping[str, str]], tokenize: bool, add_generation_prompt: bool
    ) -> str:
        """The dialogue as text, by the one template that `is_supported` accepts."""
        assert not tokenize
        text = _chat_template().render(
            messages=dialogue, add_generation_prompt=add_generation_prompt
        )
        return str(text)


@cache
def _chat_template() -> Template:
    """The compiled template; compiling takes longer than the rest of encoding a prompt."""
    from jinja2 import Environment

    return Environment(trim_blocks=True, lstrip_blocks=True).from_string(CHAT_TEMPLATE)
