"""`steiner pretrain`: trains the small base model that continual pre-training continues.

random tokens, then ordinary text -> tokenizer, Qwen2-architecture model -> model folder

The original continued Qwen2.5-32B. Here a model of a million parameters first learns to look things
up (data/recall_rows.py), then trains on ordinary text (data/ordinary_text): no reasoning, none of
the 14 tokens, nothing held out. With `base.model`, a base that was trained this way is trained
further on ordinary text:

    steiner pretrain --base steiner/assets/base --set base.tokens=20000000 --out runs/further
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2Config,
    Qwen2ForCausalLM,
    set_seed,
)

from steiner.data.mixture import held_out_rows, ordinary_rows
from steiner.data.ordinary_text import documents
from steiner.data.recall_rows import attend_to_previous_tokens, recall_rows
from steiner.files import LOGS, remove_folder, write_json
from steiner.format.tokenizer import train_tokenizer
from steiner.models.loading import load_model, load_tokenizer
from steiner.recipe import BaseRecipe, Recipe
from steiner.tasks.phrases import load_phrases, worded_tasks
from steiner.training.checkpoints import last_checkpoint
from steiner.training.losses import perplexity
from steiner.training.schedule import Schedule, schedule_of
from steiner.training.trainer import train_sequences

_TOKENIZER_DOCUMENTS = 40_000
_WORDING_REPEATS = 2_000
_RECALL_BATCH_TOKENS = 2048
"""Small, for many steps in few tokens."""


def pretrain(recipe: Recipe, folder: Path) -> Path:
    """Trains the base of `recipe` into `folder`; resumes from its last checkpoint."""
    shape = recipe.base
    set_seed(recipe.seed)
    schedule = schedule_of(shape, recipe.seed)
    names = ["pretrain", recipe.seed]
    if shape.model == "embedded":
        tokenizer = _tokenizer(recipe, folder)
        model: PreTrainedModel = new_model(shape, tokenizer)
        if last_checkpoint(folder) is None:
            _learn_recall(recipe, model, tokenizer, schedule, folder)
    else:
        model, tokenizer = load_model(shape.source)
        names.append("further")
    rows = ordinary_rows(tokenizer, shape.tokens, *names, kinds=shape.mixture or None)
    train_sequences(model, tokenizer, rows, schedule, folder)
    after = perplexity(model, held_out_rows(tokenizer), bf16=schedule.bf16)
    write_json(folder / LOGS / "perplexity.json", {"after": after})
    model.bfloat16().save_pretrained(folder)
    return folder


def _learn_recall(
    recipe: Recipe,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    schedule: Schedule,
    folder: Path,
) -> None:
    """Trains a new model on recall rows."""
    attend_to_previous_tokens(model)
    tokens = recipe.base.recall_tokens
    first = replace(schedule, tokens=tokens, batch_tokens=_RECALL_BATCH_TOKENS)
    for easy in (True, False):
        asked = recall_rows(len(tokenizer), tokens, recipe.seed, easy=easy)
        kept = folder / ("recall-easy" if easy else "recall")
        train_sequences(model, tokenizer, asked, first, kept)
        remove_folder(kept)


def new_model(shape: BaseRecipe, tokenizer: PreTrainedTokenizerBase) -> Qwen2ForCausalLM:
    """A Qwen2 model of that shape with random weights."""
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        num_key_value_heads=shape.num_kv_heads,
        intermediate_size=shape.intermediate_size,
        max_position_embeddings=shape.max_positions,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return Qwen2ForCausalLM(config)


def _tokenizer(recipe: Recipe, folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer; a resumed run reads the one it started with."""
    if (folder / "tokenizer.json").exists():
        return load_tokenizer(folder)
    tokenizer = train_tokenizer(_plain_texts(recipe.seed), recipe.base.vocab_size)
    tokenizer.save_pretrained(folder)
    return tokenizer


def _plain_texts(seed: int) -> list[str]:
    """The tokenizer's training texts: ordinary text, and the wording of steps many times, so
    that its words become one token each."""
    chosen = islice(documents("tokenizer", seed), _TOKENIZER_DOCUMENTS)
    texts = [("\n" if doc.is_dialogue else "").join(doc.parts) for doc in chosen]
    texts += ["user", "assistant", "system"] * _WORDING_REPEATS
    for name in worded_tasks():
        texts += load_phrases(name).wording * _WORDING_REPEATS
    return texts
