"""What the search model is compared with: models that have never searched.

fresh training problems -> shortest Paths -> Sequences -> model folder

- direct: answers at once; the same base, trainer and optimiser.
- shortest: writes the same steps, but only those of a shortest path: no wrong turn, no backtrack.
- large: answers at once, with several times the parameters; from nothing, first on ordinary text.

All see fresh problems in training wordings for as long as they train, which is more data than the
search model gets. The caller matches their time or FLOPs (benchmarks/compute.py).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path as FilePath

import torch
from tqdm.auto import tqdm
from transformers import (
    AutoModelForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    set_seed,
)

from steiner.files import remove_folder
from steiner.language.codec import Codec
from steiner.language.tokenizer import Vocabulary, add_reasoning_tokens
from steiner.reasoner.models import load_model
from steiner.recipe import Recipe
from steiner.training.cpt import grow_embeddings
from steiner.training.fresh_paths import shortest_paths
from steiner.training.mixture import ordinary_rows
from steiner.training.trainer import ask_by, schedule_of, train_sequences
from steiner.types import Path, UserError
from steiner.types import Sequence as TokenSequence

_DONE = "trainer_state.json"
"""The last file that training writes."""
_WIDTH_UNIT = 16
"""A larger model's feed-forward width is a multiple of this."""
_SIZE_TOLERANCE = 0.05

Encoder = Callable[[Codec, Path], TokenSequence]

Training = Callable[[Recipe, FilePath, int], None]
"""(recipe, out_dir, tokens): train_direct and train_shortest."""


def train_direct(recipe: Recipe, out_dir: FilePath, tokens: int) -> None:
    """Trains the base of `recipe` to answer at once; goes on from its checkpoint if killed.

    It never gets the reasoning tokens: by their absence the evaluation knows that it answers
    directly.
    """
    set_seed(recipe.seed)
    model, tokenizer = load_model(recipe.base.source)
    _train_answers(recipe, model, tokenizer, out_dir, tokens, encode_direct)


def train_shortest(recipe: Recipe, out_dir: FilePath, tokens: int) -> None:
    """Trains the base of `recipe` on shortest paths; goes on from its checkpoint if killed."""
    set_seed(recipe.seed)
    model, tokenizer = load_model(recipe.base.source)
    num_new = add_reasoning_tokens(tokenizer)
    grow_embeddings(model, len(tokenizer), num_new)
    ask_by(model, recipe.sampling)
    _train_answers(recipe, model, tokenizer, out_dir, tokens, Codec.encode_path)


def train_direct_large(
    recipe: Recipe, out_dir: FilePath, ordinary_tokens: int, tokens: int, *, times: int = 8
) -> None:
    """Trains a model of `times` the base's parameters from nothing: on ordinary text, as the base
    was, then on direct answers. Either half goes on from its checkpoint if killed."""
    ordinary_dir = out_dir / "ordinary"
    if not (ordinary_dir / _DONE).is_file():
        _train_ordinary(recipe, ordinary_dir, ordinary_tokens, times)
    model, tokenizer = load_model(ordinary_dir)
    _train_answers(recipe, model, tokenizer, out_dir, tokens, encode_direct)
    remove_folder(ordinary_dir)


def encode_direct(codec: Codec, path: Path) -> TokenSequence:
    """The question and the path's answer, without its steps."""
    return codec.encode_answer(path.problem.messages, path.answer)


def _train_answers(
    recipe: Recipe,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    out_dir: FilePath,
    tokens: int,
    encode: Encoder,
) -> None:
    """As the SFT stage trains, on `tokens` tokens of shortest paths written by `encode`."""
    codec = _codec(tokenizer)
    paths = shortest_paths(recipe, "baselines")
    sequences = _take((encode(codec, path) for path in paths), tokens)
    schedule = schedule_of(replace(recipe.sft, tokens=tokens), recipe.seed)
    train_sequences(model, tokenizer, sequences, schedule, out_dir)


def _codec(tokenizer: PreTrainedTokenizerBase) -> Codec:
    """A codec for `tokenizer` as it would be with the reasoning tokens; it stays as it is."""
    extended = copy.deepcopy(tokenizer)
    add_reasoning_tokens(extended)
    return Codec(Vocabulary.require(extended))


def _take(sequences: Iterable[TokenSequence], tokens: int) -> list[TokenSequence]:
    """The first that make `tokens` tokens together."""
    chosen: list[TokenSequence] = []
    total = 0
    with tqdm(total=tokens, unit="tok", desc="problems") as bar:
        for sequence in sequences:
            chosen.append(sequence)
            total += len(sequence.token_ids)
            bar.update(len(sequence.token_ids))
            if total >= tokens:
                break
    return chosen


def _train_ordinary(recipe: Recipe, folder: FilePath, tokens: int, times: int) -> None:
    """As the base was pre-trained, with its tokenizer and on the same kinds of text."""
    set_seed(recipe.seed)
    small, tokenizer = load_model(recipe.base.source)
    model = AutoModelForCausalLM.from_config(larger_config(small.config, times)).float()
    rows = ordinary_rows(tokenizer, tokens, "pretrain", recipe.seed)
    schedule = schedule_of(replace(recipe.base, tokens=tokens), recipe.seed)
    train_sequences(model.to(small.device), tokenizer, rows, schedule, folder)


def larger_config(config: PretrainedConfig, times: int) -> PretrainedConfig:
    """The shape with `times` the parameters: depth and width grow alike, heads in number, and the
    feed-forward width makes up the rest. Raises UserError where it misses by over 5 %."""
    factor = round(times ** (1 / 3))
    grown = _changed(
        config,
        hidden_size=config.hidden_size * factor,
        num_hidden_layers=config.num_hidden_layers * factor,
        num_attention_heads=config.num_attention_heads * factor,
        num_key_value_heads=config.num_key_value_heads * factor,
    )
    wanted = times * count_parameters(config)
    fewest = count_parameters(_changed(grown, intermediate_size=_WIDTH_UNIT))
    more = count_parameters(_changed(grown, intermediate_size=2 * _WIDTH_UNIT)) - fewest
    units = max(1, 1 + round((wanted - fewest) / more))
    chosen = _changed(grown, intermediate_size=units * _WIDTH_UNIT)
    if abs(count_parameters(chosen) / wanted - 1) > _SIZE_TOLERANCE:
        raise UserError(f"no shape of about {times} times {wanted // times:,} parameters is known")
    return chosen


def _changed(config: PretrainedConfig, **values: int) -> PretrainedConfig:
    settings = {k: v for k, v in config.to_dict().items() if k != "layer_types"}  # one a layer
    return type(config)(**settings | values)


def count_parameters(config: PretrainedConfig) -> int:
    """Parameters of a model of that shape, tied weights once; no memory is taken."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return sum(parameter.numel() for parameter in model.parameters())
