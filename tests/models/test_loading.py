"""Models that cannot be loaded fail at once, in one line with a hint."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from steiner.inference.model_loading import load_reasoning_model
from steiner.models.loading import load_model
from steiner.models.sources import find_model
from steiner.types import UserError

LOADERS = [load_model, load_reasoning_model]


def _refusal(loader: object, source: str | Path) -> UserError:
    with pytest.raises(UserError) as refusal:
        loader(source)  # type: ignore[operator]
    assert len(str(refusal.value).splitlines()) == 1
    assert refusal.value.hint
    return refusal.value


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Hub at a local port without a server."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")


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
