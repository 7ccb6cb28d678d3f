"""Baseline models that never search, for comparison with the search model.

    python -m experiments.baselines direct --recipe reasoner --tokens 52_000_000 --out runs/direct

fresh training problems -> shortest SearchPaths -> TokenSequences -> model folder

- direct: answers at once; same base, trainer and optimiser.
- shortest: writes the steps of a shortest path, without wrong turns.
- large: direct, with several times the parameters; the same base, grown to that size.
- chats: plain replies, such as the worked solutions of own questions.

The first three train on fresh problems in training voices, which is more data than the search
model gets. The caller matches their time or FLOPs (benchmarks/compute.py).
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from experiments.fresh_paths import shortest_paths
from experiments.model_growth import grown
from steiner.format.codec import Codec
from steiner.format.tokenizer import Vocabulary, add_reasoning_tokens
from steiner.models.loading import load_model
from steiner.models.preparation import add_reasoning_vocabulary
from steiner.progress import progress
from steiner.randomness import random_stream
from steiner.recipe import Recipe
from steiner.recipe_file import load_recipe
from steiner.training.checkpoints import set_generation_config
from steiner.training.schedule import schedule_of
from steiner.training.sft import encoder
from steiner.training.trainer import train_sequences
from steiner.types import Message, SearchPath, TokenSequence

Encoder = Callable[[Codec, SearchPath], TokenSequence]

Training = Callable[[Recipe, Path, int], None]
"""(recipe, out_dir, tokens): train_direct and train_shortest."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains one baseline; the same command resumes a stopped training."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=["direct", "shortest"])
    parser.add_argument("--recipe", default="tiny", help="a recipe's name or file")
    parser.add_argument("--tokens", type=int, required=True, help="training tokens")
    parser.add_argument("--epochs", type=int, default=1, help="passes over the training paths")
    parser.add_argument(
        "--times", type=int, default=1, help="direct: the base is grown this many times"
    )
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")
    options = parser.parse_args(arguments)
    recipe = load_recipe(options.recipe)
    sizes = {"tokens": options.tokens, "epochs": options.epochs}
    if options.kind == "direct":
        train_direct(recipe, options.out, times=options.times, **sizes)
    elif options.times != 1:
        parser.error("--times is for direct")
    else:
        train_shortest(recipe, options.out, **sizes)


def train_direct(
    recipe: Recipe, out_dir: Path, tokens: int, *, times: int = 1, epochs: int = 1
) -> None:
    """Trains the base of `recipe` to answer at once, for `tokens` tokens in `epochs` passes.

    Resumes from its checkpoint. With `times` above 1, the base is first grown to that many times
    its parameters without changing what it computes (experiments/model_growth.py). The model does
    not get the reasoning tokens; the evaluation recognises a direct model by that.
    """
    set_seed(recipe.seed)
    model, tokenizer = load_model(recipe.base.source)
    if times > 1:
        model = grown(model, times, recipe.seed)
    _train_answers(recipe, model, tokenizer, out_dir, tokens, epochs, encode_direct)


def train_shortest(recipe: Recipe, out_dir: Path, tokens: int, *, epochs: int = 1) -> None:
    """Trains the base of `recipe` on shortest paths with SFT's loss weights; resumes from its
    checkpoint."""
    set_seed(recipe.seed)
    model, tokenizer = load_model(recipe.base.source)
    add_reasoning_vocabulary(model, tokenizer)
    set_generation_config(model, recipe.sampling)
    _train_answers(recipe, model, tokenizer, out_dir, tokens, epochs, encoder(recipe.sft))


def train_chats(
    recipe: Recipe, out_dir: Path, tokens: int, chats: Iterable[tuple[Sequence[Message], str]]
) -> None:
    """Trains the base of `recipe` on plain replies: pairs of a dialogue and the reply to it.

    With SFT's trainer, for `tokens` tokens; loss on the replies alone. The model does not get the
    reasoning tokens. Resumes from its checkpoint.
    """
    set_seed(recipe.seed)
    model, tokenizer = load_model(recipe.base.source)
    codec = _codec(tokenizer)
    order = list(chats)
    random_stream("chats", recipe.seed).shuffle(order)
    encoded = (codec.encode_answer(messages, reply) for messages, reply in cycle(order))
    schedule = schedule_of(replace(recipe.sft, tokens=tokens), recipe.seed)
    train_sequences(model, tokenizer, _take(encoded, tokens), schedule, out_dir)


def encode_direct(codec: Codec, path: SearchPath) -> TokenSequence:
    """The question and the path's answer, without its steps."""
    return codec.encode_answer(path.problem.messages, path.answer)


def _train_answers(
    recipe: Recipe,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    out_dir: Path,
    tokens: int,
    epochs: int,
    encode: Encoder,
) -> None:
    """Trains as the SFT stage does, for `tokens` tokens in `epochs` passes over shortest paths
    encoded by `encode`."""
    codec = _codec(tokenizer)
    paths = shortest_paths(recipe, "baselines")
    sequences = _take((encode(codec, path) for path in paths), tokens // epochs)
    schedule = schedule_of(replace(recipe.sft, tokens=tokens), recipe.seed)
    train_sequences(model, tokenizer, sequences, schedule, out_dir)


def _codec(tokenizer: PreTrainedTokenizerBase) -> Codec:
    """A codec for a copy of `tokenizer` with the reasoning tokens; the original is unchanged."""
    extended = copy.deepcopy(tokenizer)
    add_reasoning_tokens(extended)
    return Codec(Vocabulary.require(extended))


def _take(sequences: Iterable[TokenSequence], tokens: int) -> list[TokenSequence]:
    """The first sequences that have `tokens` tokens in total."""
    chosen: list[TokenSequence] = []
    total = 0
    with progress("problems", tokens, "token") as advance:
        for sequence in sequences:
            chosen.append(sequence)
            total += len(sequence.token_ids)
            advance(len(sequence.token_ids))
            if total >= tokens:
                break
    return chosen


if __name__ == "__main__":
    main()
