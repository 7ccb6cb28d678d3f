"""Continual pre-training: search paths mixed with ordinary text, so that 14 new tokens get meaning.

base model, paths.parquet -> cpt/ (model folder, perplexity.json)

As in Steiner, plain language modelling over whole sequences, prompt included. The share of ordinary
text keeps what the base could do: its perplexity on held-out ordinary text is measured before and
after.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from steiner.dags.store import read_paths
from steiner.data.mixture import encode_paths, held_out_rows, pack_documents
from steiner.data.ordinary_text import documents
from steiner.files import write_json
from steiner.format.codec import Codec
from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens
from steiner.models.loading import load_model
from steiner.randomness import random_stream
from steiner.recipe import Recipe
from steiner.training.losses import perplexity
from steiner.training.trainer import ask_by, schedule_of, train_sequences
from steiner.types import TokenSequence


def train(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    """Continues the base of `recipe` on `run_dir/synth`; goes on from its checkpoint if killed."""
    model, tokenizer = load_model(recipe.base.source)
    held_out = held_out_rows(tokenizer)
    before = perplexity(model, held_out)
    if num_new := add_reasoning_tokens(tokenizer):
        grow_embeddings(model, len(tokenizer), num_new, recipe.seed)
    codec = Codec(Vocabulary.require(tokenizer))
    ordinary_tokens = int(recipe.cpt.tokens * recipe.cpt.ordinary_fraction)
    ordinary = pack_documents(documents("cpt", recipe.seed), tokenizer, ordinary_tokens)
    paths = read_paths(run_dir / "synth" / "paths.parquet", random_stream("cpt", recipe.seed))
    reasoning_tokens = recipe.cpt.tokens - ordinary_tokens
    reasoning = encode_paths(codec.encode_path, paths, recipe.problems.levels, reasoning_tokens)
    sequences = [*map(_whole, reasoning), *ordinary]
    schedule = schedule_of(recipe.cpt, recipe.seed)
    ask_by(model, recipe.sampling)
    train_sequences(model, tokenizer, sequences, schedule, out_dir)
    after = perplexity(model, held_out)
    write_json(out_dir / "perplexity.json", {"before": before, "after": after})


def grow_embeddings(model: PreTrainedModel, size: int, num_new: int, seed: int = 0) -> None:
    """Room for a tokenizer of `size` tokens, of which the last `num_new` are new.

    Each of these starts at the mean of the old embeddings plus a little noise. Padded vocabularies,
    as Qwen2.5's, have rows for them already.
    """
    old = size - num_new
    if size > model.config.vocab_size:
        model.resize_token_embeddings(size, mean_resizing=False)
    weights: dict[int, torch.Tensor] = {}  # by identity: tied weights are one
    for module in (model.get_input_embeddings(), model.get_output_embeddings()):
        weight: Any = module.weight
        weights[id(weight)] = weight
    noise = torch.Generator().manual_seed(random_stream("new tokens", seed).getrandbits(63))
    with torch.no_grad():
        for weight_VD in weights.values():
            old_VD, new_VD = weight_VD[:old], weight_VD[old:size]
            noise_VD = torch.randn(new_VD.shape, generator=noise).to(new_VD)
            new_VD.copy_(old_VD.mean(0) + noise_VD * old_VD.std() * 0.5)


def _whole(sequence: TokenSequence) -> TokenSequence:
    """The same tokens with loss on all of them, the question's too."""
    return TokenSequence(sequence.token_ids, (1.0,) * len(sequence.token_ids), sequence.step_index)
