"""Supervised fine-tuning: chats whose answers are search paths, with loss on reasoning and answer
only.

cpt/, paths.parquet -> sft/ (model folder)

A wrong turn's choice has loss weight `wrong_turn_loss`: the model should handle a dead end, not
prefer to go there (compare guided Stream of Search, arXiv:2410.02992). Other choices weigh
`choice_loss` and the answer `answer_loss`: they are few tokens that everything depends on.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from steiner.data.mixture import Encode, encode_paths
from steiner.data.packed_rows import FlatSequences
from steiner.format.codec import Codec
from steiner.randomness import random_stream
from steiner.recipe import Recipe, SftRecipe
from steiner.training.checkpoints import set_generation_config
from steiner.training.lora import load_for_training
from steiner.training.schedule import schedule_of
from steiner.training.trainer import train_sequences


def train(recipe: Recipe, run_dir: Path, out_dir: Path) -> None:
    """Fine-tunes `run_dir/cpt` on `run_dir/synth`; resumes from its checkpoint."""
    sft = recipe.sft
    model, tokenizer = load_for_training(run_dir / "cpt", sft)
    sequences = encoded_paths(recipe, run_dir, tokenizer)
    schedule = schedule_of(sft, recipe.seed, lora_rank=sft.lora_rank)
    set_generation_config(model, recipe.sampling)
    train_sequences(model, tokenizer, sequences, schedule, out_dir)


def encoded_paths(
    recipe: Recipe, run_dir: Path, tokenizer: PreTrainedTokenizerBase
) -> FlatSequences:
    """SFT's sequences: the run's paths, in each task's share of the tokens."""
    return encode_paths(
        run_dir / "synth" / "paths.parquet",
        tokenizer,
        encoder(recipe.sft),
        recipe.problems.levels,
        recipe.sft.tokens,
        recipe.sft.shares,
        random_stream("sft", recipe.seed),
    )


def encoder(sft: SftRecipe) -> Encode:
    """The encoding of a path with SFT's loss weights."""
    return partial(
        Codec.encode_path,
        choice_loss=sft.choice_loss,
        wrong_turn_loss=sft.wrong_turn_loss,
        answer_loss=sft.answer_loss,
    )
