"""Finds a model: a folder, a GGUF file, or `owner/name` on the Hugging Face Hub.

source -> ModelSource, or an error at once

transformers takes any word for a name on the Hub. Here a name without an owner is a folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from steiner.files import read_json
from steiner.hub_access import HUB_NAME, MODEL, check_hub
from steiner.types import UserError

ADAPTER = "adapter"
"""Folder of the unmerged LoRA adapter within the model folder of a stage."""

ADAPTER_CONFIG = "adapter_config.json"


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model that can be loaded."""

    name: str
    """A folder, or `owner/name`."""
    is_local: bool
    """Whether its files are here already: a folder, or the Hub's cache while offline."""
    gguf_file: str = ""
    """Name of the GGUF file in that folder, if the model is one."""

    @property
    def options(self) -> dict[str, Any]:
        """Keyword arguments for from_pretrained() of transformers."""
        options: dict[str, Any] = {"local_files_only": self.is_local}
        if self.gguf_file:
            options["gguf_file"] = self.gguf_file
        return options


def find_model(source: str | Path) -> ModelSource:
    """The model in a folder or GGUF file, or of a name on the Hub.

    Raises UserError if there is none.
    """
    path = Path(source)
    if path.is_dir():
        return ModelSource(str(source), is_local=True)
    if path.is_file() and path.suffix == ".gguf":
        if find_spec("gguf") is None:
            raise UserError(f"cannot read {path}: gguf is not installed", "pip install gguf")
        return ModelSource(str(path.parent), is_local=True, gguf_file=path.name)
    if path.exists():
        raise UserError(f"{source} is a file, not a model folder", "give the folder that holds it")
    if isinstance(source, Path) or not HUB_NAME.fullmatch(source):
        hint = "give the path of a model folder, or owner/name of a model on the Hugging Face Hub"
        raise UserError(f"no model folder {source}", hint)
    return _find_on_hub(source)


def base_of_adapter(found: ModelSource) -> ModelSource | None:
    """The base that a folder's PEFT adapter was trained on; None for any other model.

    Raises UserError if there is no such base.
    """
    folder = Path(found.name)
    name = None if found.gguf_file else base_name_of(folder)
    if name is None:
        return None
    hint = f"give its place as base_model_name_or_path in {folder / ADAPTER_CONFIG}"
    try:
        base = find_model(name)
    except UserError as error:
        message = f"{folder} is an adapter, and its base is missing: {error}"
        raise UserError(message, hint) from error
    if not base.gguf_file and Path(base.name).resolve() == folder.resolve():
        raise UserError(f"{folder} is an adapter that names itself as its base", hint)
    return base


def base_name_of(folder: Path) -> str | None:
    """The path or Hub name of the base that a folder's PEFT adapter was trained on; None for any
    other model.

    In a run that was moved, the base of a stage's adapter is the folder of that name beside the
    stage.
    """
    if not (folder / ADAPTER_CONFIG).is_file() or (folder / "config.json").exists():
        return None
    name = str(read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path"))
    recorded = Path(name)
    if folder.name == ADAPTER and recorded.is_absolute() and not recorded.exists():
        beside = folder.absolute().parent.with_name(recorded.name)
        return str(beside) if beside.exists() else name
    return name


def _find_on_hub(name: str) -> ModelSource:
    from huggingface_hub import try_to_load_from_cache

    def is_cached() -> bool:
        return isinstance(try_to_load_from_cache(name, "config.json"), str)

    return ModelSource(name, is_local=not check_hub(name, MODEL, is_cached))
