"""Exports a trained model for others: a folder ready for the Hugging Face Hub, or a GGUF file.

model folder, results.json of its run -> weights in bf16, tokenizer, chat template, recipe, card

    steiner export runs/tiny/rl --out published/tiny

Nothing else that a training leaves goes along, and everybody may read the files.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from steiner import __version__
from steiner.evaluation.results import ALL, Record, Results, read_results
from steiner.files import make_readable, remove_folder, replace_folder, write_text
from steiner.format.tokenizer import Vocabulary
from steiner.models.gguf_files import write_gguf
from steiner.models.loading import load_model
from steiner.progress import say
from steiner.recipe import Recipe
from steiner.recipe_file import load_recipe
from steiner.types import RunError, UserError

_RECIPE = "recipe.toml"
_LICENCE_KEYS = ("license", "license_name", "license_link")
"""Of a model card. A licence without a name of its own is called `other` and has the other two."""

_CARD = """\
---
{front}
---

# {name}

A model that reasons by searching in one line of text, made with Steiner {version}: {parameters:,}
parameters, {architecture}. It names a step, works it out, verifies it, and then proceeds, goes
back, or answers. 14 special tokens mark the parts.

```bash
steiner solve "your question" --model {name}
steiner serve --model {name}        # an OpenAI-compatible API with step budgets
```

transformers and vLLM read it as an ordinary causal language model. Without Steiner's grammar and
step budget, a search may not end.

## How it was made

{origin}

## Results

{results}
"""


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

    Raises UserError if the model lacks the reasoning tokens, or if `out` has files and not `force`.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not force:
        raise UserError(f"{out} exists", "name another folder with --out, or add --force")
    model, tokenizer = load_model(source, torch.bfloat16)
    Vocabulary.require(tokenizer)
    partial = out.with_name(f"{out.name}.partial")
    remove_folder(partial)
    partial.mkdir(parents=True)
    try:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        if gguf:
            write_gguf(model, tokenizer, partial / f"{out.name}-{gguf}.gguf", matrices=gguf)
        if (source / _RECIPE).is_file():
            shutil.copy(source / _RECIPE, partial / _RECIPE)
        write_text(partial / "README.md", model_card(model, source, out.name, license))
        make_readable(partial)
        replace_folder(partial, out)
    finally:
        remove_folder(partial)


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


def model_card(model: PreTrainedModel, source: Path, name: str, license: str) -> str:
    """The card, with the results of the run that the model is a stage of."""
    recipe = load_recipe(str(source / _RECIPE)) if (source / _RECIPE).is_file() else None
    results = source.parent / "evaluate" / "results.json"
    return _CARD.format(
        front="\n".join(_front_matter(recipe, license)),
        name=name,
        version=__version__,
        parameters=model.num_parameters(),
        architecture=type(model).__name__,
        origin=_origin(recipe, source.name),
        results=_results(read_results(results), source.name) if results.is_file() else "None yet.",
    )


def _front_matter(recipe: Recipe | None, license: str) -> list[str]:
    lines = ["library_name: transformers", "pipeline_tag: text-generation"]
    lines.append("tags: [steiner, reasoning, search]")
    base = recipe.base.model if recipe else ""
    terms = {"license": license} if license else licence_of(base)
    if not terms:
        say("export     the base's licence is not known: the card has none; --license names one")
    lines += [f"{key}: {value}" for key, value in terms.items()]
    if recipe and base != "embedded" and "/" in base and not Path(base).exists():
        lines.append(f"base_model: {base}")
    if recipe:
        lines.append(f"language: [{recipe.language}]")
    return lines


def licence_of(base: str) -> dict[str, str]:
    """The licence keys of a base's own model card; empty if there is no card to read.

    `base` is "embedded", a folder, or a name on the Hub, which is asked.
    """
    from huggingface_hub import ModelCard

    if base == "embedded":
        return {"license": "apache-2.0"}
    if not base or (Path(base).exists() and not Path(base, "README.md").is_file()):
        return {}
    card = Path(base, "README.md") if Path(base).is_dir() else base
    try:
        data = ModelCard.load(card, ignore_metadata_errors=True).data.to_dict()
    except Exception:  # no such card, or no Hub: its client's exceptions depend on the version
        return {}
    return {key: str(data[key]) for key in _LICENCE_KEYS if data.get(key)}


def _origin(recipe: Recipe | None, stage: str) -> str:
    if recipe is None:
        return "Its folder had no recipe."
    tasks = ", ".join(recipe.problems.levels) or recipe.questions.name
    base = Path(recipe.base.model).name if Path(recipe.base.model).exists() else recipe.base.model
    return (
        f"Stage `{stage}` of the recipe `{recipe.name}`; `{_RECIPE}` has every setting.\n\n"
        "| setting | value |\n|---|---|\n"
        f"| base | {base} |\n| tasks | {tasks} |\n"
        f"| tokens of CPT, SFT | {recipe.cpt.tokens:,}, {recipe.sft.tokens:,} |\n"
        f"| steps of RL | {recipe.rl.steps if stage == 'rl' else 0} |"
    )


def _results(results: Results, stage: str) -> str:
    """A table: accuracy on held-out problems by family, and within each step budget."""
    found = results.find("accuracy", stage=stage)
    if not found:
        return "None yet."
    lines = ["| held-out problems | right | number |", "|---|---|---|"]
    lines += [_row(record.family, record) for record in _unlimited(found) if record.family != ALL]
    lines += [_row("mean of the families", r) for r in _unlimited(found) if r.family == ALL]
    lines += [
        _row(f"the same, at most {record.budget} steps", record)
        for record in found
        if record.family == ALL and record.budget is not None
    ]
    return "\n".join([*lines, "", "In brackets: 95 % intervals."])


def _unlimited(records: Sequence[Record]) -> list[Record]:
    return [record for record in records if record.budget is None]


def _row(name: str, record: Any) -> str:
    value, low, high = (100 * share for share in (record.value, record.low, record.high))
    return f"| {name} | {value:.1f} % [{low:.1f}, {high:.1f}] | {record.n} |"
