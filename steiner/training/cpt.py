"""Continual pre-training: search paths mixed with ordinary text give the 14 new tokens a meaning.

base model, paths.parquet -> cpt/ (model folder), logs/cpt/perplexity.json

Plain language modelling over whole sequences, prompt included, as in Steiner. The share of ordinary
text keeps the base's abilities; perplexity on held-out ordinary text is measured before and after.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback

from steiner.data.corpora import corpus_documents, held_out_corpus
from steiner.data.mixture import (
    HELD_OUT_DOCUMENTS,
    encode_paths,
    held_out_rows,
    pack_documents,
    rows_of,
)
from steiner.data.ordinary_text import Document, documents
from steiner.data.packed_rows import FlatSequences, PackedRows
from steiner.files import LOGS, read_json, write_json
from steiner.format.codec import Codec
from steiner.models.four_bit import is_4bit
from steiner.models.precision import wants_bf16
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.processes import from_first, is_first, is_sharded
from steiner.progress import say
from steiner.randomness import random_stream
from steiner.recipe import Recipe
from steiner.training.checkpoints import set_generation_config
from steiner.training.lora import load_for_training
from steiner.training.losses import perplexity
from steiner.training.schedule import schedule_of
from steiner.training.trainer import train_sequences
from steiner.types import SearchPath, TokenSequence


def train(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    """Continues the base of `recipe` on `run_dir/synth`; resumes from its checkpoint."""
    model, tokenizer = load_for_training(recipe.base.source, recipe.cpt)
    held_out = _held_out(recipe, tokenizer)
    sharded = is_sharded()
    bf16 = wants_bf16(recipe.cpt.precision)
    before = perplexity(model, held_out, bf16=bf16) if held_out and not sharded else None
    add_reasoning_vocabulary(model, tokenizer, recipe.seed)
    share = recipe.cpt.ordinary_fraction if _has_ordinary_text(recipe) else 0.0
    ordinary_tokens = int(recipe.cpt.tokens * share)
    ordinary = pack_documents(
        _ordinary(recipe), tokenizer, ordinary_tokens, split_long=bool(recipe.cpt.corpora)
    )
    reasoning = encode_paths(
        run_dir / "synth" / "paths.parquet",
        tokenizer,
        _encode_whole,
        recipe.problems.levels,
        recipe.cpt.tokens - ordinary_tokens,
        recipe.cpt.shares,
        random_stream("cpt", recipe.seed),
    )
    sequences = FlatSequences.joined([reasoning, FlatSequences.of(ordinary)])
    schedule = schedule_of(recipe.cpt, recipe.seed, lora_rank=recipe.cpt.lora_rank)
    set_generation_config(model, recipe.sampling)
    measured = out_dir / LOGS / "perplexity.json"
    callbacks = [ShardedPerplexity(held_out, measured, bf16=bf16)] if held_out and sharded else []
    train_sequences(model, tokenizer, sequences, schedule, out_dir, *callbacks)
    if held_out and not sharded and is_first():
        if is_4bit(model):  # its LoRA is merged in the saved weights alone
            del model
            gc.collect()
            model, _ = load_for_training(out_dir, recipe.cpt)
        write_json(measured, {"before": before, "after": perplexity(model, held_out, bf16=bf16)})


class ShardedPerplexity(TrainerCallback):
    """Measures perplexity at both ends of a training whose weights are spread over processes: no
    device holds the whole model. The 14 tokens are among the possible ones before it, too."""

    def __init__(self, rows: PackedRows, file: Path, *, bf16: bool) -> None:
        self._rows, self._file, self._bf16 = rows, file, bf16

    def on_train_begin(self, *_: Any, **trainer: Any) -> None:
        """Measures the base; a resumed training has done so."""
        if not from_first(self._file.is_file()):
            self._measure("before", trainer["model"])

    def on_train_end(self, *_: Any, **trainer: Any) -> None:
        """Measures the trained model."""
        self._measure("after", trainer["model"])

    def _measure(self, name: str, model: PreTrainedModel) -> None:
        measured = perplexity(model, self._rows, bf16=self._bf16)
        if is_first():
            self._file.parent.mkdir(exist_ok=True)
            earlier = read_json(self._file) if self._file.is_file() else {}
            write_json(self._file, {**earlier, name: measured})


def _ordinary(recipe: Recipe) -> Iterator[Document]:
    """The recipe's corpora, or the ordinary text that the embedded base was trained on."""
    if recipe.cpt.corpora:
        return corpus_documents(recipe.cpt.corpora, "cpt", recipe.seed)
    return documents("cpt", recipe.seed)


def _has_ordinary_text(recipe: Recipe) -> bool:
    ours = recipe.base.model == "embedded" or _is_ours(Path(recipe.base.source))
    return ours or bool(recipe.cpt.corpora)


def _held_out(recipe: Recipe, tokenizer: PreTrainedTokenizerBase) -> PackedRows | None:
    """Rows of ordinary text that no training uses; None where there are none."""
    if not _has_ordinary_text(recipe):
        say("cpt        no ordinary text: name some in cpt.corpora to keep the base's abilities")
        return None
    if not recipe.cpt.corpora:
        return held_out_rows(tokenizer)
    found = held_out_corpus(recipe.cpt.corpora, HELD_OUT_DOCUMENTS)
    if not found:
        say("cpt        no perplexity: each of cpt.corpora has one document, used for training")
        return None
    return rows_of(found, tokenizer, split_long=True)


def _is_ours(base: Path) -> bool:
    """True for a base that `steiner pretrain` made: it knows our kinds of text."""
    return (base / "recipe.toml").is_file()


def _encode_whole(codec: Codec, path: SearchPath) -> TokenSequence:
    """A path with loss on all of its tokens, the question included."""
    token_ids = codec.encode_path(path).token_ids
    return TokenSequence(token_ids, (1.0,) * len(token_ids))
