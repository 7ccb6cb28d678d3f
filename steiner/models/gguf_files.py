"""GGUF files: one file with weights, tokenizer and chat template, for programs built on llama.cpp.

model, tokenizer -> a .gguf file;  a .gguf file -> what `load_model` reads

The 14 reasoning tokens are written as user-defined tokens and not as control tokens, so that those
programs print them: they mark the steps. The format is described in ggml's docs/gguf.md; names and
keys come from the package `gguf`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import (
    AddedToken,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from steiner.files import replacing
from steiner.format.grammar import SPECIAL_TOKENS
from steiner.types import UserError

TYPES = ("bf16", "f16", "f32", "q8_0")
"""Number formats of the matrices; vectors are always fp32."""

_ARCHITECTURES = {"llama": "LLAMA", "mistral": "LLAMA", "qwen2": "QWEN2", "qwen3": "QWEN3"}
"""model_type of transformers -> architecture of gguf."""

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5


def write_gguf(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, path: Path, *, matrices: str
) -> None:
    """Writes the model to `path`, whole or not at all; `matrices` is one of TYPES.

    Raises UserError for an architecture or a tokenizer that this cannot write.
    """
    import gguf

    if matrices not in TYPES:
        raise UserError(f"unknown GGUF type '{matrices}'", f"one of: {', '.join(TYPES)}")
    kind = model.config.model_type
    if kind not in _ARCHITECTURES:
        known = ", ".join(_ARCHITECTURES)
        hint = f"known: {known}; for others use llama.cpp's convert_hf_to_gguf.py on the folder"
        raise UserError(f"cannot write a GGUF file for the architecture {kind}", hint)
    pre_tokenizer = _pre_tokenizer(tokenizer)
    architecture = gguf.MODEL_ARCH[_ARCHITECTURES[kind]]
    with replacing(path) as partial:
        writer = gguf.GGUFWriter(partial, gguf.MODEL_ARCH_NAMES[architecture])
        _add_config(writer, model.config, gguf.LlamaFileType[_file_type(matrices)])
        _add_tokenizer(writer, tokenizer, model.config.vocab_size, pre_tokenizer)
        names = gguf.get_tensor_name_map(architecture, model.config.num_hidden_layers)
        for name, weight in _tensors(model):
            gguf_name = names.get_name(name, try_suffixes=(".weight", ".bias"))
            assert gguf_name, name
            is_matrix = weight.ndim > 1
            kind_of = gguf.GGMLQuantizationType[matrices.upper() if is_matrix else "F32"]
            array = gguf.quants.quantize(weight.float().cpu().numpy(), kind_of)
            writer.add_tensor(gguf_name, array, raw_dtype=kind_of)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def restore_added_tokens(tokenizer: PreTrainedTokenizerBase, path: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a GGUF file with its user-defined tokens, which transformers takes for
    byte-level pieces."""
    from gguf import GGUFReader

    fields = GGUFReader(path).fields
    kinds = fields["tokenizer.ggml.token_type"].contents()
    tokens = fields["tokenizer.ggml.tokens"].contents()
    added = {i: tokens[i] for i, kind in enumerate(kinds) if kind == _USER_DEFINED}
    if not added or not hasattr(tokenizer, "backend_tokenizer"):
        return tokenizer
    backend = _backend(tokenizer)
    old = {index: token for token, index in backend["model"]["vocab"].items() if index in added}
    for index, token in added.items():
        backend["model"]["vocab"].pop(old[index])
        backend["model"]["vocab"][token] = index
    special = {name: getattr(tokenizer, name) for name in ("bos_token", "eos_token", "pad_token")}
    restored = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(backend)),
        chat_template=tokenizer.chat_template,
        clean_up_tokenization_spaces=False,
        **{name: token for name, token in special.items() if token},
    )
    restored.add_tokens(
        [
            AddedToken(token, special=token in SPECIAL_TOKENS, normalized=False)
            for token in added.values()
        ]
    )
    return restored


def _file_type(matrices: str) -> str:
    return "ALL_F32" if matrices == "f32" else f"MOSTLY_{matrices.upper()}"


def _add_config(writer: Any, config: Any, file_type: Any) -> None:
    heads = config.num_attention_heads
    head_size = getattr(config, "head_dim", None) or config.hidden_size // heads
    writer.add_file_type(file_type)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(head_size)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)


def _add_tokenizer(
    writer: Any, tokenizer: PreTrainedTokenizerBase, vocab_size: int, pre_tokenizer: str
) -> None:
    """Tokens, their kinds, merges, special ids and the chat template."""
    known = {index: token for token, index in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    tokens, kinds = [], []
    for index in range(vocab_size):
        token = known.get(index)
        tokens.append(f"[unused {index}]" if token is None else token)
        if token is None:
            kinds.append(_UNUSED)
        elif index not in added:
            kinds.append(_NORMAL)
        elif added[index].special and token not in SPECIAL_TOKENS:
            kinds.append(_CONTROL)
        else:
            kinds.append(_USER_DEFINED)
    merges = _backend(tokenizer)["model"]["merges"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    for add, index in (
        (writer.add_bos_token_id, tokenizer.bos_token_id),
        (writer.add_eos_token_id, tokenizer.eos_token_id),
        (writer.add_pad_token_id, tokenizer.pad_token_id),
    ):
        if index is not None:
            add(index)
    writer.add_add_bos_token(False)  # the chat template writes it where there is one
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _pre_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """llama.cpp's name of the rule that splits text before byte-level BPE.

    Raises UserError if the tokenizer is of another kind.
    """
    backend = _backend(tokenizer) if hasattr(tokenizer, "backend_tokenizer") else {}
    steps = backend.get("pre_tokenizer") or {}
    steps = steps.get("pretokenizers", [steps])
    kinds = [step.get("type") for step in steps]
    if backend.get("model", {}).get("type") == "BPE":
        if kinds == ["ByteLevel"] and steps[0]["use_regex"]:
            return "gpt-2"
        if kinds == ["Digits", "ByteLevel"] and steps[1]["use_regex"]:
            return "smollm"
        if kinds == ["Split", "ByteLevel"]:
            pattern = steps[0]["pattern"].get("Regex", "")
            if r"\p{N}{1,3}" in pattern:
                return "llama-bpe"
            if r"\p{N}" in pattern:
                return "qwen2"
    hint = "use llama.cpp's convert_hf_to_gguf.py on the folder"
    raise UserError("cannot write a GGUF file for this kind of tokenizer", hint)


def _backend(tokenizer: PreTrainedTokenizerBase) -> Any:
    return json.loads(tokenizer.backend_tokenizer.to_str())


def _tensors(model: PreTrainedModel) -> Iterator[tuple[str, torch.Tensor]]:
    """Names of transformers and weights in llama.cpp's order; a tied head is left out."""
    tied = set(getattr(model, "all_tied_weights_keys", None) or ())
    reorder = _reordering(model.config)
    for name, weight in model.state_dict().items():
        if name not in tied:
            yield name, reorder(name, weight)


def _reordering(config: Any) -> Callable[[str, torch.Tensor], torch.Tensor]:
    """llama.cpp rotates neighbouring pairs of a Llama's heads, transformers their two halves."""
    heads = {"q": config.num_attention_heads, "k": config.num_key_value_heads}

    def reorder(name: str, weight: torch.Tensor) -> torch.Tensor:
        found = re.search(r"\.([qk])_proj\.", name)
        if _ARCHITECTURES[config.model_type] != "LLAMA" or not found:
            return weight
        split = weight.reshape(heads[found[1]], 2, -1, *weight.shape[1:])
        return split.transpose(1, 2).reshape(weight.shape)

    return reorder
