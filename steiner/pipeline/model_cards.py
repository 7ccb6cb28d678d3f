"""Cards of published models and adapters, in the Hub's format.

model folder within its run -> text with licence, settings and results
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from steiner import __version__
from steiner.evaluation.results import ALL, Record, Results, read_results
from steiner.models.saving import STAGE_MARK
from steiner.progress import say
from steiner.recipe import Recipe
from steiner.recipe_file import load_recipe
from steiner.types import UserError, reason_of

RECIPE = "recipe.toml"
_LICENCE_KEYS = ("license", "license_name", "license_link")
"""Of a model card. A licence without a name of its own is called `other` and has the other two."""

_RELATIVE_LINK = re.compile(r"!?\[([^\]]+)\]\((?![a-z]+:|#)[^)]*\)")
_NO_LICENCE = "export     the base's licence is not known: the card has none; --license names one"

_CARD = """\
---
{front}
---

# {name}

{what} It names a step, works it out, verifies it, and then proceeds, goes
back, or answers. 14 special tokens mark the parts.

```bash
steiner solve "your question" --model {name}
steiner serve --model {name}        # an OpenAI-compatible API with step budgets
```

{loading}
Without Steiner's grammar and step budget, a search may not end.

## How it was made

{origin}

## Results

{results}
"""

_WHAT = """\
A model that reasons by searching in one line of text, made with Steiner {version}: {parameters:,}
parameters, {architecture}."""
_LOADING = "transformers and vLLM read it as an ordinary causal language model."

_ADAPTER_WHAT = """\
A LoRA adapter that makes `{base}` reason by searching in one line of text, made with Steiner
{version}: {parameters:,} parameters."""
_ADAPTER_LOADING = """\
`base_model_name_or_path` in `adapter_config.json` is the place of its base, `{base}`: correct it if
you have the base elsewhere. PEFT reads the two with

```python
from peft import AutoPeftModelForCausalLM

model = AutoPeftModelForCausalLM.from_pretrained("{name}")
```
"""


def model_card(model: PreTrainedModel, source: Path, name: str, license: str) -> str:
    """The card of the model in `source`: its own if it has one that no stage wrote, else one with
    the results of its run."""
    if own := _own_card(source):
        return _kept_card(own, source, name, license)
    recipe = _recipe_of(source)
    what = _WHAT.format(
        version=__version__,
        parameters=model.num_parameters(),
        architecture=type(model).__name__,
    )
    base = recipe.base.model if recipe else ""
    front = ["library_name: transformers", *_front_matter(recipe, base, license)]
    return _card(front, name, what, _LOADING, source)


def _own_card(source: Path) -> str:
    """The card in a model's folder; empty if there is none, or one that a stage wrote."""
    file = source / "README.md"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return "" if STAGE_MARK in text else text


def _kept_card(text: str, source: Path, name: str, license: str) -> str:
    """The card that the model in `source` had, with what the Hub needs. Links to files that do not
    go along become plain text. Raises UserError if its front matter cannot be read."""
    from huggingface_hub import ModelCard

    try:
        card = ModelCard(text, ignore_metadata_errors=True)
    except Exception as error:  # of YAML, and of the client
        message = f"cannot read the front matter of {source / 'README.md'}: {reason_of(error)}"
        raise UserError(message, "correct it, or remove the file for a new card") from error
    card.text = _RELATIVE_LINK.sub(r"\1", card.text)
    card.data["library_name"] = card.data.get("library_name") or "transformers"
    if license:
        card.data["license"] = license
    if not card.data.get("license"):
        say(_NO_LICENCE)
    say(f"export     {name} keeps the card of its folder: README.md")
    return str(card)


def adapter_card(base: str, parameters: int, source: Path, name: str, license: str) -> str:
    """The card of the adapter of the model in `source`, with the results of its run.

    `base` is the path or Hub name of the model that the adapter was trained on.
    """
    shown = Path(base).name if Path(base).is_absolute() else base
    what = _ADAPTER_WHAT.format(base=shown, version=__version__, parameters=parameters)
    front = ["library_name: peft", *_front_matter(_recipe_of(source), base, license)]
    return _card(front, name, what, _ADAPTER_LOADING.format(base=shown, name=name), source)


def _card(front: Sequence[str], name: str, what: str, loading: str, source: Path) -> str:
    results = source.parent / "evaluate" / "results.json"
    return _CARD.format(
        front="\n".join(front),
        name=name,
        what=what,
        loading=loading,
        origin=_origin(_recipe_of(source), source.name),
        results=_results(read_results(results), source.name) if results.is_file() else "None yet.",
    )


def _recipe_of(source: Path) -> Recipe | None:
    return load_recipe(str(source / RECIPE)) if (source / RECIPE).is_file() else None


def _front_matter(recipe: Recipe | None, base: str, license: str) -> list[str]:
    """All but the library; `base` is named if it is on the Hub."""
    lines = ["pipeline_tag: text-generation", "tags: [steiner, reasoning, search]"]
    terms = {"license": license} if license else licence_of(recipe.base.model if recipe else "")
    if not terms:
        say(_NO_LICENCE)
    lines += [f"{key}: {value}" for key, value in terms.items()]
    if base != "embedded" and "/" in base and not Path(base).exists():
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
        f"Stage `{stage}` of the recipe `{recipe.name}`; `{RECIPE}` has every setting.\n\n"
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
