"""Settings of well-known benchmarks, so that `steiner eval --suite NAME` needs no columns.

gsm8k, bbh:NAME or a file -> settings of [questions]
"""

from __future__ import annotations

import json
from pathlib import Path

from steiner.types import UserError

_CHOICE = (
    "date_understanding",
    "disambiguation_qa",
    "geometric_shapes",
    "hyperbaton",
    "logical_deduction",
    "movie_recommendation",
    "penguins_in_a_table",
    "reasoning_about_colored_objects",
    "ruin_names",
    "salient_translation_error_detection",
    "snarks",
    "temporal_sequences",
    "tracking_shuffled_objects",
)
"""BIG-Bench-Hard tasks whose answer is a letter; names begin with one of these."""


def suite_settings(suite: str) -> list[str]:
    """The suite as "key=value" settings of a recipe. `gsm8k:FILE` and `bbh:FILE` read a local file,
    `gsm8k` and `bbh:NAME` the Hub. Raises UserError for a word that names neither."""
    kind, _, place = suite.partition(":")
    if kind == "gsm8k":
        settings = {"name": "gsm8k", "grader": "number", "answer_after": "####"}
        if not place:
            settings |= {"hub_config": "main", "hub_split": "test"}
        settings["test"] = place or "openai/gsm8k"
    elif kind == "bbh" and place:
        name = Path(place).stem
        grader = "choice" if name.startswith(_CHOICE) else "text"
        settings = {"name": name, "grader": grader, "question": "input", "answer": "target"}
        is_file = Path(place).suffix != ""
        if not is_file:
            settings |= {"hub_config": name, "hub_split": "test"}
        settings["test"] = place if is_file else "lukaemon/bbh"
    elif "/" in suite or Path(suite).suffix or Path(suite).exists():
        settings = {"name": Path(suite).stem, "test": suite}
    else:
        known = "gsm8k, bbh:NAME (such as bbh:snarks), gsm8k:FILE, bbh:FILE, or a file of questions"
        raise UserError(f"unknown suite '{suite}'", f"one of: {known}")
    return [f"questions.{key}={json.dumps(value)}" for key, value in settings.items()]
