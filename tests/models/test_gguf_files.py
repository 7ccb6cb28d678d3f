"""GGUF files: transformers and llama.cpp read the same tokens and compute the same logits."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from steiner.inference.reasoner import Reasoner
from steiner.models.gguf_files import write_gguf
from steiner.models.loading import load_model
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.recipe import SHIPPED_REASONER
from steiner.types import UserError

QUESTION = "how do I get 4 gallons with a 5 gallon bucket and a 3 gallon bucket?"
TEXT = "Élise's jugs hold 12 and 5, 345 in all;  make 4!\n<|reasoning_start|>x"
SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_what_is_read_back_has_the_same_tokens_and_logits(
    base_tokenizer: PreTrainedTokenizerBase, tmp_path: Path, kind: str, tied: bool
) -> None:
    tokenizer = copy.deepcopy(base_tokenizer)
    sizes = SIZES | {"vocab_size": len(tokenizer) + 20, "tie_word_embeddings": tied}
    torch.manual_seed(0)
    model: Any
    if kind == "llama":
        model = LlamaForCausalLM(LlamaConfig(**sizes))
    else:
        model = Qwen2ForCausalLM(Qwen2Config(**sizes))
    add_reasoning_vocabulary(model, tokenizer)
    path = tmp_path / "model.gguf"
    write_gguf(model, tokenizer, path, matrices="f32")
    loaded, its_tokenizer = load_model(path)
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    assert its_tokenizer(TEXT).input_ids == ids[0].tolist()
    assert its_tokenizer.chat_template == tokenizer.chat_template
    assert its_tokenizer.eos_token == tokenizer.eos_token
    with torch.no_grad():
        assert torch.allclose(loaded(ids).logits, model(ids).logits, atol=1e-4)


@pytest.mark.parametrize("matrices", ["bf16", "q8_0"])
def test_llama_cpp_answers_with_the_same_steps(tmp_path: Path, matrices: str) -> None:
    import xllamacpp

    model, tokenizer = load_model(SHIPPED_REASONER)
    path = tmp_path / "reasoner.gguf"
    write_gguf(model, tokenizer, path, matrices=matrices)
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx = 2048
    settings.n_parallel = 1
    server = xllamacpp.Server(settings)
    request = {"messages": [{"role": "user", "content": QUESTION}], "temperature": 0.0}
    reply = server.handle_chat_completions(request | {"max_tokens": 1000})
    text = reply["choices"][0]["message"]["content"]
    ours = Reasoner.load(path).solve(QUESTION, temperature=0.0)
    if matrices == "bf16":  # the weights are bf16 as shipped: nothing is lost
        assert text.partition("<|reasoning_end|>")[2] == ours.text
    for texts in (step.texts for step in ours.steps[:1]):
        assert f"<|reasoning_step_thought_start|>{texts.understanding}<" in text


@pytest.mark.parametrize("tied", [True, False])
def test_llama_cpp_reads_a_llama(
    base_tokenizer: PreTrainedTokenizerBase, tmp_path: Path, tied: bool
) -> None:
    """transformers writes the same tokens after a prompt."""
    import xllamacpp

    tokenizer = copy.deepcopy(base_tokenizer)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), tie_word_embeddings=tied, initializer_range=0.2, **SIZES
    )
    model: Any = LlamaForCausalLM(config)
    add_reasoning_vocabulary(model, tokenizer)
    path = tmp_path / "llama.gguf"
    write_gguf(model, tokenizer, path, matrices="f32")
    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.n_ctx = 512
    settings.n_parallel = 1
    server = xllamacpp.Server(settings)
    request = {"prompt": TEXT, "n_predict": 12, "temperature": 0.0, "logprobs": 1}
    reply = server.handle_completions(request | {"ignore_eos": True})
    written = reply["choices"][0]["logprobs"]["content"]  # without tokens that end within a letter
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    ours = model.generate(ids, max_new_tokens=12, min_new_tokens=12, do_sample=False)
    with torch.no_grad():
        logprobs = model(ours).logits[0, ids.shape[1] - 1 : -1].log_softmax(-1).max(-1).values
    expected = list(zip(ours[0, ids.shape[1] :].tolist(), logprobs.tolist(), strict=True))
    assert len(written) > 6
    for token in written:
        same = [logprob for token_id, logprob in expected if token_id == token["id"]]
        assert min(abs(logprob - token["logprob"]) for logprob in same) < 0.01


def test_a_file_is_a_base_and_a_model_that_solves(tmp_path: Path) -> None:
    model, tokenizer = load_model(SHIPPED_REASONER)
    path = tmp_path / "reasoner.gguf"
    write_gguf(model, tokenizer, path, matrices="bf16")
    from_file = Reasoner.load(path).solve(QUESTION, temperature=0.0)
    from_folder = Reasoner.load(SHIPPED_REASONER).solve(QUESTION, temperature=0.0)
    assert from_file.text == from_folder.text
    assert from_file.steps == from_folder.steps


def test_what_cannot_be_written_or_read_is_one_clear_line(
    base_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    other = GPT2LMHeadModel(GPT2Config(n_embd=8, n_layer=1, n_head=1, vocab_size=50))
    path = tmp_path / "x.gguf"
    with pytest.raises(UserError, match="architecture gpt2") as caught:
        write_gguf(other, base_tokenizer, path, matrices="bf16")
    assert "convert_hf_to_gguf.py" in caught.value.hint
    with pytest.raises(UserError, match="unknown GGUF type 'q9'"):
        write_gguf(other, base_tokenizer, path, matrices="q9")
    assert not list(tmp_path.iterdir())
    path.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(UserError, match=r"cannot load a model from .*x\.gguf"):
        load_model(path)
