"""Models that cannot be loaded fail at once, in one line with a hint."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from huggingface_hub import constants
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForMaskedLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from steiner.hub_access import check_data_set
from steiner.inference.budget import Budget
from steiner.inference.engine import Engine
from steiner.inference.model_loading import load_reasoning_model
from steiner.inference.request import Request
from steiner.models.loading import load_model
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.models.sources import find_model
from steiner.pipeline.plan import shape_of
from steiner.types import Message, UserError
from tests.chat_layouts import LAYOUTS, make_tokenizer

LOADERS = [load_model, load_reasoning_model]
SIZE = {
    "vocab_size": 1000,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}


def _refusal(loader: object, source: str | Path) -> UserError:
    with pytest.raises(UserError) as refusal:
        loader(source)  # type: ignore[operator]
    assert len(str(refusal.value).splitlines()) == 1
    assert refusal.value.hint
    return refusal.value


@pytest.fixture
def hub_status(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A Hub that answers everything with one status."""
    status: int = request.param

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield status
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("source", ["nowhere", "./no/where", "a/b/c", "/no/where", "no where/x"])
def test_a_name_without_an_owner_is_a_folder(
    monkeypatch: pytest.MonkeyPatch, loader: object, source: str
) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("asked the network"))
    assert f"no model folder {source}" in str(_refusal(loader, source))


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("loader", LOADERS)
def test_an_unreachable_hub_is_asked_once(loader: object) -> None:
    assert "out of reach: no connection" in str(_refusal(loader, "owner/model"))


def test_offline_mode_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("asked the network"))
    assert "HF_HUB_OFFLINE is set" in str(_refusal(load_model, "owner/model"))


@pytest.mark.parametrize(
    ("hub_status", "message"),
    [(404, "no such model"), (401, "no such model"), (403, "no access"), (503, "status 503")],
    indirect=["hub_status"],
)
def test_each_refusal_of_the_hub_has_its_message(hub_status: int, message: str) -> None:
    assert message in str(_refusal(find_model, "owner/model"))
    assert message.replace("model", "data set") in str(_refusal(check_data_set, "owner/data"))


@pytest.mark.parametrize("hub_status", [200, 307], indirect=True)
def test_a_model_of_the_hub_is_found(hub_status: int) -> None:
    found = find_model("owner/model")
    assert (found.name, found.is_local) == ("owner/model", False)


def _empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def _truncate(name: str) -> object:
    def damage(folder: Path) -> None:
        file = folder / name
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    return damage


def _remove(name: str) -> object:
    return lambda folder: (folder / name).unlink()


def _other_shape(folder: Path) -> None:
    file = folder / "config.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "hidden_size": 64, "num_attention_heads": 8}))


def _unknown_kind(folder: Path) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "model_type": "no_such_kind"}))


def _lacking(folder: Path) -> None:
    """Without the last layer's weights."""
    file = folder / "model.safetensors"
    whole = load_file(file)
    save_file({n: w for n, w in whole.items() if ".layers.1." not in n}, file, {"format": "pt"})


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    "damage",
    [
        _empty,
        _truncate("model.safetensors"),
        _truncate("config.json"),
        _truncate("tokenizer.json"),
        _remove("model.safetensors"),
        _remove("config.json"),
        _remove("tokenizer.json"),
        _unknown_kind,
        _lacking,
    ],
)
def test_a_damaged_folder_is_one_line(
    model_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    loader: object,
    damage: object,
) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("asked the network"))
    folder = Path(shutil.copytree(model_dir, tmp_path / "copy"))
    damage(folder)  # type: ignore[operator]
    assert str(folder) in str(_refusal(loader, folder))


@pytest.fixture
def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZE))


def _saved(model: PreTrainedModel, folder: Path) -> Path:
    model.save_pretrained(folder)
    make_tokenizer(LAYOUTS["llama3"]).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("damage", [_truncate, _remove])
def test_a_damaged_shard_is_one_line(llama: LlamaForCausalLM, tmp_path: Path, damage: Any) -> None:
    folder = _saved(llama, tmp_path / "model")
    (folder / "model.safetensors").unlink()
    llama.save_pretrained(folder, max_shard_size="50KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 2
    load_model(folder)
    damage(shards[1].name)(folder)
    assert str(folder) in str(_refusal(load_model, folder))


def test_missing_weights_are_named(llama: LlamaForCausalLM, tmp_path: Path) -> None:
    folder = _saved(LlamaForSequenceClassification(llama.config), tmp_path / "model")
    assert "lack 1 of the model's weights, such as lm_head" in str(_refusal(load_model, folder))


def test_weights_of_another_size_are_one_line(
    llama: LlamaForCausalLM, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = _saved(llama, tmp_path / "model")
    _other_shape(folder)
    assert "have other sizes than config.json says" in str(_refusal(load_model, folder))
    assert "MISMATCH" not in capfd.readouterr().err  # transformers' table


def test_an_encoder_is_no_causal_model(tmp_path: Path) -> None:
    folder = _saved(BertForMaskedLM(BertConfig(**SIZE)), tmp_path / "bert")
    assert "BertForMaskedLM is no causal language model" in str(_refusal(load_model, folder))
    assert "is no causal language model" in str(_refusal(shape_of, str(folder)))


def test_an_encoder_decoder_is_no_causal_model(tmp_path: Path) -> None:
    model = T5ForConditionalGeneration(T5Config(vocab_size=1000, d_model=32, num_layers=1))
    folder = _saved(model, tmp_path / "t5")
    for loader in (load_model, shape_of):
        refusal = _refusal(loader, str(folder))
        assert "it is no causal language model" in str(refusal)
        assert "ForCausalLM" in str(refusal.hint)


@pytest.mark.parametrize("content", [b"GGUF\x03\0\0\0", b"hello"])
def test_a_damaged_gguf_file_is_one_line(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(content)
    for loader in (*LOADERS, shape_of):
        assert "model.gguf" in str(_refusal(loader, str(tmp_path / "model.gguf")))


def test_a_gguf_file_of_an_unknown_architecture_is_one_line(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "bamboozle")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    for loader in (*LOADERS, shape_of):
        assert "architecture bamboozle" in str(_refusal(loader, str(tmp_path / "model.gguf")))


def _adapter(model: PreTrainedModel, base: Path | str, folder: Path) -> PeftModel:
    """Saves a LoRA adapter of `model` that names `base`."""
    config = LoraConfig(r=2, init_lora_weights=False, target_modules="all-linear")
    adapted = get_peft_model(model, config)
    adapted.peft_config["default"].base_model_name_or_path = str(base)
    adapted.save_pretrained(folder)
    return adapted


def test_an_adapter_is_merged_into_its_base(llama: LlamaForCausalLM, tmp_path: Path) -> None:
    base, ids = _saved(llama, tmp_path / "base"), torch.arange(9)[None]
    before = llama(ids).logits
    expected = _adapter(llama, base, tmp_path / "adapter")(ids).logits
    model, tokenizer = load_model(tmp_path / "adapter")
    assert len(tokenizer) == len(make_tokenizer(LAYOUTS["llama3"]))  # the base's
    assert type(model) is LlamaForCausalLM
    assert not any("lora" in name for name in model.state_dict())
    assert torch.allclose(model(ids).logits, expected, atol=1e-5)
    assert not torch.allclose(before, expected, atol=1e-2)
    assert shape_of(str(tmp_path / "adapter")) == shape_of(str(base))


@pytest.mark.parametrize("tied", [True, False])
def test_an_adapter_with_the_reasoning_tokens_is_asked(tmp_path: Path, tied: bool) -> None:
    """Its base lacks them; the adapter's folder has their rows and the tokenizer."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer(LAYOUTS["llama3"])
    shape = SIZE | {"vocab_size": len(tokenizer), "tie_word_embeddings": tied}
    base = LlamaForCausalLM(LlamaConfig(**shape, bos_token_id=None, eos_token_id=None))
    base.save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")

    vocabulary = add_reasoning_vocabulary(base, tokenizer)
    tables = ["embed_tokens"] if tied else ["embed_tokens", "lm_head"]
    config = LoraConfig(
        r=2,
        init_lora_weights=False,
        target_modules="all-linear",
        trainable_token_indices={name: list(vocabulary.special_ids) for name in tables},
    )
    adapted = get_peft_model(base, config)
    adapted.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    adapted.save_pretrained(tmp_path / "adapter", save_embedding_layers=True)
    tokenizer.save_pretrained(tmp_path / "adapter")
    merged = adapted.merge_and_unload().eval()

    prompt_ids = tuple(vocabulary.encode_prompt([Message("user", "Make 24 from 3, 5, 7, 9.")]))
    request = Request(prompt_ids, Budget(max_steps=2, max_tokens=60))
    (expected,) = Engine(merged, vocabulary).generate([request])
    model, found = load_reasoning_model(tmp_path / "adapter")
    (rollout,) = Engine(model, found).generate([request])
    assert rollout.token_ids == expected.token_ids
    assert rollout.logprobs == pytest.approx(expected.logprobs, abs=1e-4)
    assert rollout.well_formed


def test_an_adapter_of_another_base_is_one_line(llama: LlamaForCausalLM, tmp_path: Path) -> None:
    wider = LlamaForCausalLM(LlamaConfig(**SIZE | {"hidden_size": 64}))
    _adapter(llama, _saved(wider, tmp_path / "wider"), tmp_path / "adapter")
    assert "does not fit its base" in str(_refusal(load_model, tmp_path / "adapter"))


def test_an_adapter_without_its_base_is_one_line(llama: LlamaForCausalLM, tmp_path: Path) -> None:
    base = _saved(llama, tmp_path / "base")
    _adapter(llama, base, tmp_path / "adapter")
    base.rename(tmp_path / "elsewhere")
    for loader in (load_model, shape_of):
        refusal = _refusal(loader, str(tmp_path / "adapter"))
        assert "is an adapter, and its base is missing: no model folder" in str(refusal)
