"""Exported folders: complete, readable by all, with a card that has the run's results."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file

from steiner.cli import main as cli
from steiner.evaluation.results import ALL, Record, Results, write_results
from steiner.models.loading import load_model
from steiner.models.saving import model_card as stage_card
from steiner.pipeline.export import export, export_adapter, push
from steiner.recipe import EMBEDDED_BASE, SHIPPED_REASONER
from steiner.recipe_file import load_recipe, recipe_toml
from steiner.types import RunError, UserError
from tests.loopback_server import QuietHandler, serving
from tests.lora_training import train_lora


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """A model folder within a run that was evaluated, with files that nobody else may read."""
    folder = tmp_path / "run" / "rl"
    shutil.copytree(SHIPPED_REASONER, folder)
    (folder / "recipe.toml").write_text(recipe_toml(load_recipe("tiny")))
    card = stage_card(*load_model(folder), folder)
    (folder / "README.md").write_text(card)
    (folder / "optimizer.pt").write_bytes(b"left over")
    for path in folder.iterdir():
        path.chmod(0o600)
    records = [
        Record("rl", family, "accuracy", budget, 0.5, 0.4, 0.625, 60)
        for family in ("jugs", ALL)
        for budget in (None, 4)
    ]
    results = Results({}, "rl", [], None, {}, {}, records, [])
    write_results(folder.parent / "evaluate" / "results.json", results)
    return folder


def test_folder_is_complete_and_has_nothing_else(stage: Path, tmp_path: Path) -> None:
    out = tmp_path / "published" / "mine"
    assert cli.main(["export", str(stage), "--out", str(out), "--gguf", "q8_0"]) == 0
    names = {path.name for path in out.iterdir()}
    assert {"model.safetensors", "tokenizer.json", "chat_template.jinja", "recipe.toml"} < names
    assert "mine-q8_0.gguf" in names
    assert not names & {"optimizer.pt", "trainer_state.json"}
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in out.iterdir())
    assert [path.name for path in out.parent.iterdir()] == ["mine"]
    assert json.loads((out / "config.json").read_text())["dtype"] == "bfloat16"
    ids = torch.arange(1, 30)[None]
    with torch.no_grad():
        assert torch.equal(load_model(out)[0](ids).logits, load_model(stage)[0](ids).logits)


def test_card_has_licence_settings_and_results(stage: Path, tmp_path: Path) -> None:
    export(stage, tmp_path / "mine", license="mit")
    card = (tmp_path / "mine" / "README.md").read_text()
    front = huggingface_hub.ModelCard(card).data
    assert front.license == "mit"
    assert front.library_name == "transformers"
    assert "| jugs | 50.0 % [40.0, 62.5] | 60 |" in card
    assert "| the same, at most 4 steps | 50.0 % [40.0, 62.5] | 60 |" in card
    assert "Stage `rl` of the recipe `tiny`" in card
    assert str(tmp_path) not in card


def test_a_folder_s_own_card_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine"
    assert cli.main(["export", str(SHIPPED_REASONER), "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert "licence is not known" not in captured.err
    shown = dict(line.split()[:2] for line in captured.out.splitlines()[1:])
    assert shown.keys() == {path.name for path in out.iterdir()}
    assert shown["model.safetensors"] == f"{(out / 'model.safetensors').stat().st_size / 1e6:.3g}"
    card = (out / "README.md").read_text()
    assert "The trained model in the package of Steiner" in card
    assert "docs/results.md has its accuracy" in card  # the link would lead nowhere
    assert huggingface_hub.ModelCard(card).data.license == "apache-2.0"
    export(SHIPPED_REASONER, out, license="mit", force=True)
    assert huggingface_hub.ModelCard((out / "README.md").read_text()).data.license == "mit"


@pytest.mark.parametrize(
    ("card", "refused"),
    [("---\n: [\n---\n", True), ("A [link](other.md), a [page](https://x.org).\n", False)],
)
def test_a_card_is_kept_if_it_can_be_read(
    card: str, refused: bool, stage: Path, tmp_path: Path
) -> None:
    (stage / "README.md").write_text(card)
    if refused:
        with pytest.raises(UserError, match="cannot read the front matter") as caught:
            export(stage, tmp_path / "mine")
        assert "remove the file" in caught.value.hint
        assert not (tmp_path / "mine").exists()
        return
    export(stage, tmp_path / "mine")
    kept = (tmp_path / "mine" / "README.md").read_text()
    assert "A link, a [page](https://x.org).\n" in kept
    assert huggingface_hub.ModelCard(kept).data.library_name == "transformers"


def _based_on(stage: Path, base: Path) -> None:
    recipe = load_recipe("tiny", [f"base.model={json.dumps(str(base))}"])
    (stage / "recipe.toml").write_text(recipe_toml(recipe))


def test_the_base_s_licence_is_taken_over(stage: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "README.md").write_text(
        "---\nlicense: other\nlicense_name: llama3\nlicense_link: LICENSE\n---\n# A base\n"
    )
    _based_on(stage, base)
    export(stage, tmp_path / "mine")
    data = huggingface_hub.ModelCard((tmp_path / "mine" / "README.md").read_text()).data
    assert (data.license, data.license_name, data.license_link) == ("other", "llama3", "LICENSE")
    export(stage, tmp_path / "mine", license="mit", force=True)
    data = huggingface_hub.ModelCard((tmp_path / "mine" / "README.md").read_text()).data
    assert (data.license, data.license_name) == ("mit", None)


@pytest.mark.parametrize("card", [None, "no front matter", "---\n: [\n---\n"])
def test_an_unknown_licence_is_said(
    card: str | None, stage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "base").mkdir()
    if card:
        (tmp_path / "base" / "README.md").write_text(card)
    _based_on(stage, tmp_path / "base")
    export(stage, tmp_path / "mine")
    front = huggingface_hub.ModelCard((tmp_path / "mine" / "README.md").read_text()).data
    assert front.license is None
    assert "the base's licence is not known" in capsys.readouterr().err


def test_nothing_is_replaced_unasked(stage: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    export(stage, out)
    (out / "note").touch()
    with pytest.raises(UserError, match="mine exists"):
        export(stage, out)
    with pytest.raises(UserError, match="unknown GGUF type"):
        export(stage, out, gguf="q1", force=True)
    assert (out / "note").exists()
    export(stage, out, force=True)
    assert not (out / "note").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"run", "mine"}


def _files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.mark.parametrize(
    ("out", "line"),
    [
        ("run", "overlap"),
        ("run/rl", "overlap"),
        ("run/rl/mine", "overlap"),
        ("run/evaluate", "is not an earlier export"),
        ("run/evaluate/results.json", "is a file"),
        (".", "overlap"),
    ],
)
def test_no_other_folder_is_replaced_by_force(
    out: str,
    line: str,
    stage: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    before = _files(tmp_path)
    assert cli.main(["export", str(stage), "--out", out, "--force"]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert line in error
    assert "name another folder with --out" in hint
    assert _files(tmp_path) == before


def test_the_current_folder_stays(
    stage: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(UserError, match="is in use as the current folder"):
        export(stage, Path())
    export(stage, Path("mine"))
    monkeypatch.chdir(tmp_path / "empty" / "mine")
    with pytest.raises(UserError, match="is in use as the current folder"):
        export(stage, Path("..", "mine"), force=True)


def test_an_empty_folder_is_filled_and_a_neighbour_stays(stage: Path, tmp_path: Path) -> None:
    for name in ("mine", "mine.partial", "mine.discarded"):
        (tmp_path / name).mkdir()
    (tmp_path / "mine.partial" / "checkpoint").touch()
    (tmp_path / "mine.discarded" / "precious").touch()
    export(stage, tmp_path / "mine")
    export(stage, tmp_path / "mine", force=True)
    assert (tmp_path / "mine" / "config.json").exists()
    assert (tmp_path / "mine.partial" / "checkpoint").exists()
    assert (tmp_path / "mine.discarded" / "precious").exists()


@pytest.fixture
def adapted(stage: Path) -> Path:
    """A stage that was trained with LoRA on the shipped reasoner, in the run of `stage`."""
    base = stage.rename(stage.with_name("cpt"))
    shutil.copy(base / "recipe.toml", train_lora(base, stage))
    return stage


def test_an_adapter_is_exported_alone(
    adapted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine"
    assert cli.main(["export", str(adapted), "--out", str(out), "--adapter"]) == 0
    captured, base = capsys.readouterr(), adapted.with_name("cpt")
    assert captured.out.startswith(f"{out}\n  README.md ")
    assert f"its base is {base}: publish that too" in captured.err
    assert {path.name for path in out.iterdir()} == {
        *("adapter_config.json", "adapter_model.safetensors", "generation_config.json"),
        *("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"),
        *("README.md", "recipe.toml", "export.json"),
    }
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in out.iterdir())
    weights = load_file(out / "adapter_model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {torch.bfloat16}
    ids = torch.arange(1, 30)[None]
    with torch.no_grad():
        logits = load_model(adapted)[0](ids).logits
        given = load_model(out)[0](ids).logits
        before = load_model(base)[0](ids).logits
    # 8 bits of each number are left: 0.4 % of what LoRA changed, once for A, B and the new rows.
    assert (given - logits).abs().max() < 0.02 * (before - logits).abs().max()


def test_the_card_of_an_adapter_names_its_base(adapted: Path, tmp_path: Path) -> None:
    export_adapter(adapted, tmp_path / "mine")
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "makes `cpt` reason" in card
    assert str(tmp_path) not in card
    export_adapter(adapted, tmp_path / "mine", base="me/mine-cpt", license="mit", force=True)
    card = (tmp_path / "mine" / "README.md").read_text()
    front = huggingface_hub.ModelCard(card).data
    assert (front.library_name, front.license) == ("peft", "mit")
    assert front.base_model == "me/mine-cpt"
    assert "| jugs | 50.0 % [40.0, 62.5] | 60 |" in card
    assert 'AutoPeftModelForCausalLM.from_pretrained("mine")' in card
    config = json.loads((tmp_path / "mine" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "me/mine-cpt"
    assert str(tmp_path) not in json.dumps(config)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--adapter"], "has no adapter: it was not trained with LoRA"),
        (["--adapter", "--gguf"], "--gguf writes the whole model, --adapter only the adapter"),
        (["--base", "me/mine"], "--base is for an adapter"),
    ],
)
def test_what_cannot_be_exported_is_one_line(
    options: list[str],
    line: str,
    stage: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "mine"
    assert cli.main(["export", str(stage), "--out", str(out), *options]) == 2
    assert not list(tmp_path.glob("mine*"))
    error, hint = capsys.readouterr().err.splitlines()
    assert line in error
    assert hint.startswith("hint: ")
    with pytest.raises(UserError, match="no model folder"):
        export_adapter(tmp_path / "nowhere", out)


def test_a_damaged_adapter_is_one_line(adapted: Path, tmp_path: Path) -> None:
    (adapted / "adapter" / "adapter_model.safetensors").write_bytes(b"cut off")
    with pytest.raises(UserError, match="cannot load a model from") as caught:
        export_adapter(adapted, tmp_path / "mine")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("mine*"))


def test_a_model_without_the_tokens_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lacks 14 of the 14 reasoning tokens"):
        export(EMBEDDED_BASE, tmp_path / "mine")
    assert not list(tmp_path.iterdir())


class Hub(QuietHandler):
    """Takes files as the Hugging Face Hub does, all of them as text in the commit."""

    taken: ClassVar[dict[str, bytes]] = {}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer: dict[str, Any] = {}
        if self.path == "/api/repos/create":
            answer["url"] = f"http://{self.headers['Host']}/me/mine"
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            kept = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            answer = {"files": [{"path": file["path"], **kept} for file in files]}
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.taken[line["value"]["path"]] = content
            url = f"http://{self.headers['Host']}/me/mine/commit/1"
            answer = {"commitUrl": url, "commitOid": "1", "success": True}
        self._reply(answer)

    def do_GET(self) -> None:
        self._reply({"id": "me/mine", "sha": "0" * 40, "siblings": []})

    def _reply(self, answer: dict[str, Any]) -> None:
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def test_a_pushed_folder_is_on_the_hub(
    stage: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_none")
    out = tmp_path / "mine"
    with serving(Hub) as url:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", url)
        assert cli.main(["export", str(stage), "--out", str(out), "--push", "me/mine"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[-1]) == (str(out), f"{url}/me/mine")
    files = {path.name: path.read_bytes() for path in out.iterdir()}
    assert files.items() <= Hub.taken.items()


def test_an_unreachable_hub_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_TOKEN", "hf_none")
    with pytest.raises(RunError, match="cannot upload to me/mine") as caught:
        push(tmp_path, "me/mine")
    assert "\n" not in str(caught.value)
    assert "HF_TOKEN" in caught.value.hint
