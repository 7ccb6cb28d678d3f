"""Exports a trained model for others: a folder ready for the Hugging Face Hub, or a GGUF file.

model folder, results.json of its run -> weights in bf16, tokenizer, chat template, recipe, card

    steiner export runs/tiny/rl --out published/tiny
    steiner export runs/tiny/sft --out published/tiny-lora --adapter

Nothing else that a training leaves goes along, and everybody may read the files. `export.json`
marks the folder as one that a later export may replace.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file, save_file
from transformers.utils import GENERATION_CONFIG_NAME

from steiner import __version__
from steiner.files import made_folder, make_readable, read_json, write_json, write_text
from steiner.format.tokenizer import Vocabulary
from steiner.models.gguf_files import write_gguf
from steiner.models.loading import READ_ERRORS, load_error, load_model, load_tokenizer
from steiner.models.sources import ADAPTER, ADAPTER_CONFIG, base_name_of, find_model
from steiner.pipeline.model_cards import RECIPE, adapter_card, model_card
from steiner.progress import say
from steiner.types import RunError, UserError

MARK = "export.json"
"""The file by which an exported folder is known."""
_WEIGHTS = "adapter_model.safetensors"
_ANOTHER = "name another folder with --out"


def export(
    source: Path,
    out: Path,
    *,
    license: str = "",
    gguf: str = "",
    force: bool = False,
) -> None:
    """Writes the model in `source` to the folder `out`, whole or not at all.

    `gguf` is the number format of an additional GGUF file (models/gguf_files.py), or empty.

    Raises UserError if the model lacks the reasoning tokens, or if `out` may not be replaced: with
    `force`, an earlier export may.
    """
    out = _checked(source, out, force)
    model, tokenizer = load_model(source, torch.bfloat16)
    Vocabulary.require(tokenizer)
    with _published(source, out) as partial:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        if gguf:
            write_gguf(model, tokenizer, partial / f"{out.name}-{gguf}.gguf", matrices=gguf)
        write_text(partial / "README.md", model_card(model, source, out.name, license))


def export_adapter(
    source: Path,
    out: Path,
    *,
    base: str = "",
    license: str = "",
    force: bool = False,
) -> None:
    """Writes the LoRA adapter of the model in `source` to the folder `out`, whole or not at all.

    `base` is the name under which others find the adapter's base; by default, it stays where it is.

    Raises UserError if there is no adapter, or if `out` may not be replaced, as `export` does.
    """
    out = _checked(source, out, force)
    folder = Path(find_model(source).name) / ADAPTER
    recorded = base_name_of(folder)
    if recorded is None:
        hint = "train it with lora_rank above 0, or leave out --adapter to export the whole model"
        raise UserError(f"{source} has no adapter: it was not trained with LoRA", hint)
    tokenizer = load_tokenizer(folder)
    Vocabulary.require(tokenizer)
    if not base and Path(recorded).is_absolute():
        say(f"export     its base is {recorded}: publish that too, and name it with --base")
    base = base or recorded
    weights = _adapter_weights(folder)
    parameters = sum(weight.numel() for weight in weights.values())
    config = {**read_json(folder / ADAPTER_CONFIG), "base_model_name_or_path": base}
    with _published(source, out) as partial:
        save_file(weights, partial / _WEIGHTS, {"format": "pt"})
        write_json(partial / ADAPTER_CONFIG, config)
        tokenizer.save_pretrained(partial)
        shutil.copy(folder / GENERATION_CONFIG_NAME, partial)
        card = adapter_card(base, parameters, source, out.name, license)
        write_text(partial / "README.md", card)


def _adapter_weights(folder: Path) -> dict[str, torch.Tensor]:
    """In bf16. Raises UserError if the file is damaged."""
    try:
        weights = load_file(folder / _WEIGHTS)
    except READ_ERRORS as error:
        raise load_error(folder, error) from error
    return {name: weight.bfloat16() for name, weight in weights.items()}


def _checked(source: Path, out: Path, force: bool) -> Path:
    """`out` as an absolute path. Raises UserError if it is neither new, nor empty, nor, with
    `force`, an earlier export; or if replacing it would take away the model or the current folder.
    """
    model, out, here = source.resolve(), out.resolve(), Path.cwd()
    if out == model or out in model.parents or model in out.parents:
        raise UserError(f"{out} and the model's folder {model} overlap", _ANOTHER)
    if not out.exists():
        return out
    if not out.is_dir():
        raise UserError(f"{out} is a file", _ANOTHER)
    if out == here or out in here.parents:
        raise UserError(f"{out} is in use as the current folder", "name a new folder inside it")
    if not any(out.iterdir()):
        return out
    if not force:
        raise UserError(f"{out} exists", f"{_ANOTHER}, or add --force to replace an export")
    if not (out / MARK).is_file():
        hint = f"{_ANOTHER}, or remove this one yourself"
        raise UserError(f"{out} is not an earlier export: it has no {MARK}", hint)
    return out


@contextmanager
def _published(source: Path, out: Path) -> Iterator[Path]:
    """Yields a new folder with the recipe of `source`; it replaces `out` if the block succeeds."""
    with (
        made_folder(out.parent),
        TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as own,
    ):
        new, old = Path(own, "new"), Path(own, "old")
        new.mkdir()
        if (source / RECIPE).is_file():
            shutil.copy(source / RECIPE, new / RECIPE)
        yield new
        write_json(new / MARK, {"made_by": "steiner export", "version": __version__})
        make_readable(new)
        if out.exists():
            out.rename(old)
        new.rename(out)


def push(folder: Path, name: str) -> str:
    """Uploads an exported folder to the Hub as `name` (owner/name); returns its address.

    Raises RunError if the Hub refuses or is out of reach.
    """
    from huggingface_hub import HfApi

    try:
        repo = HfApi().create_repo(name, exist_ok=True)
        HfApi().upload_folder(repo_id=repo.repo_id, folder_path=folder)
    except Exception as error:  # its client's exceptions depend on the version
        reason = str(error).strip().partition("\n")[0]
        hint = f"the folder {folder} is complete; check the name and HF_TOKEN, then push again"
        raise RunError(f"cannot upload to {name}: {reason}", hint) from error
    return str(repo)
