"""Ordinary text as rows of tokens, and search paths encoded in equal shares.

Documents -> PackedRows;  paths.parquet -> FlatSequences
"""

from __future__ import annotations

import math
import os
import random
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerBase

from steiner.dags.store import num_path_groups, path_families, read_path_group
from steiner.data.ordinary_text import Document, documents, held_out_documents
from steiner.data.packed_rows import FlatSequences, PackedRows
from steiner.format.chat_format import ChatFormat
from steiner.format.codec import Codec
from steiner.format.tokenizer import Vocabulary
from steiner.progress import no_progress, progress
from steiner.types import SearchPath, TokenSequence

ROW_TOKENS = 512
PROMPT_LOSS = 0.1
"""Loss weight of prompts. They are mostly random names and numbers, whose noise would hide what can
be learned (docs/log.md)."""
HELD_OUT_DOCUMENTS = 400
_ENCODE_AT_ONCE = 2_000
_SHARD_TOKENS = 1_000_000
"""Tokens that one process generates at a time, from its own random stream."""
_WORTH_A_POOL = 20_000_000
"""Tokens of paths above which all cores encode."""
_RESULTS_AHEAD = 64
_OPEN_ROWS = 16
"""Rows filled at the same time, so that little space is wasted."""

_Encoded = list[tuple[int, float]]
"""Pairs of token id and loss weight."""


def pack_documents(
    documents: Iterator[Document],
    tokenizer: PreTrainedTokenizerBase,
    tokens: int,
    *,
    row_tokens: int = ROW_TOKENS,
    split_long: bool = False,
    show_progress: bool = True,
) -> PackedRows:
    """About `tokens` tokens of documents, each ended by the padding token.

    Replies and their end have loss weight 1, prompts PROMPT_LOSS, padding 0. Documents are not cut,
    because the second half could not be predicted without the first; only one that is longer than a
    row loses its end, or with `split_long` becomes several.
    """
    encoded: Iterable[_Encoded] = _encoded(documents, tokenizer)
    if split_long:
        encoded = (d[i : i + row_tokens] for d in encoded for i in range(0, len(d), row_tokens))
    num_rows = max(1, tokens // row_tokens) if tokens else 0
    shown = progress if show_progress else no_progress
    with shown("text", num_rows * row_tokens, "token") as advance:
        return _packed(encoded, ChatFormat(tokenizer).pad_id, num_rows, row_tokens, advance)


def ordinary_rows(
    tokenizer: PreTrainedTokenizerBase,
    tokens: int,
    *names: object,
    kinds: Mapping[str, float] | None = None,
) -> PackedRows:
    """About `tokens` tokens of ordinary text, the same for the same names, generated in shards
    on all cores. `kinds` are shares of tokens, by default those of DEFAULT_MIXTURE."""
    whole, rest = divmod(tokens, _SHARD_TOKENS)
    sizes = [_SHARD_TOKENS] * whole + [rest] * (rest > 0)
    shards: list[PackedRows] = []
    with (
        progress("text", tokens, "token") as advance,
        ProcessPoolExecutor(mp_context=get_context("forkserver")) as pool,
    ):
        make = partial(_shard, tokenizer, names, kinds)
        for shard in pool.map(make, range(len(sizes)), sizes):
            shards.append(shard)
            advance(shard.ids_NT.size)
    return PackedRows.joined(shards)


def _shard(
    tokenizer: PreTrainedTokenizerBase,
    names: tuple[object, ...],
    kinds: Mapping[str, float] | None,
    index: int,
    tokens: int,
) -> PackedRows:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one process a core is enough
    made = documents(*names, index, kinds=kinds)
    return pack_documents(made, tokenizer, tokens, show_progress=False)


def _packed(
    documents: Iterable[_Encoded],
    close: int,
    num_rows: int,
    row_tokens: int,
    advance: Callable[[int], None],
) -> PackedRows:
    ids_NT = np.full((num_rows, row_tokens), close, dtype=np.int32)
    weights_NT = np.zeros((num_rows, row_tokens), dtype=np.float16)
    for index, row in enumerate(islice(_rows(documents, row_tokens), num_rows)):
        ids_NT[index, : len(row)] = [token for token, _ in row]
        weights_NT[index, : len(row)] = [weight for _, weight in row]
        advance(row_tokens)
    return PackedRows(ids_NT, weights_NT)


def _encoded(
    documents: Iterator[Document], tokenizer: PreTrainedTokenizerBase
) -> Iterator[_Encoded]:
    """Each document's tokens with their loss weights, and the padding token at its end."""
    close = ChatFormat(tokenizer).pad_id
    while some := list(islice(documents, _ENCODE_AT_ONCE)):
        texts = [_rendered(document, tokenizer) for document in some]
        encoding = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
        for document, text, ids, spans in zip(
            some, texts, encoding["input_ids"], encoding["offset_mapping"], strict=True
        ):
            weights = _weights(spans, _replies(document, text))
            yield [*zip(ids, weights, strict=True), (close, 1.0)]


def _rendered(document: Document, tokenizer: PreTrainedTokenizerBase) -> str:
    if not document.is_dialogue:
        return "".join(document.parts)
    turns = [
        {"role": role, "content": part}
        for role, part in zip(cycle(("user", "assistant")), document.parts)
    ]
    return str(tokenizer.apply_chat_template(turns, tokenize=False))


def _replies(document: Document, text: str) -> Iterator[tuple[int, int]]:
    """[first character, last + 1) of each reply in the rendered text."""
    end = 0
    for index, part in enumerate(document.parts):
        start = text.index(part, end)
        end = start + len(part)
        if index % 2:
            yield start, end


def _weights(
    spans: Iterable[tuple[int, int]], replies: Iterator[tuple[int, int]]
) -> Iterator[float]:
    """1 for a token in a reply or right after it, PROMPT_LOSS for others."""
    start, end = next(replies, (math.inf, math.inf))
    for first, last in spans:
        while first > end:
            start, end = next(replies, (math.inf, math.inf))
        yield 1.0 if last > start else PROMPT_LOSS


def _rows(documents: Iterable[_Encoded], row_tokens: int) -> Iterator[_Encoded]:
    """Rows of documents; each document goes into the fullest of the open rows that has room for
    it."""
    open_rows: list[_Encoded] = []
    for document in documents:
        tokens = document[:row_tokens]
        fitting = [row for row in open_rows if len(row) + len(tokens) <= row_tokens]
        if fitting:
            max(fitting, key=len).extend(tokens)
            continue
        if len(open_rows) == _OPEN_ROWS:
            fullest = max(range(_OPEN_ROWS), key=lambda index: len(open_rows[index]))
            yield open_rows.pop(fullest)
        open_rows.append(list(tokens))
    yield from open_rows


def held_out_rows(tokenizer: PreTrainedTokenizerBase) -> PackedRows:
    """Rows of ordinary text that no training uses."""
    return rows_of(held_out_documents(HELD_OUT_DOCUMENTS), tokenizer)


def rows_of(
    documents: Sequence[Document], tokenizer: PreTrainedTokenizerBase, *, split_long: bool = False
) -> PackedRows:
    """Rows of these documents, about all of them."""
    num_tokens = sum(map(len, _encoded(iter(documents), tokenizer)))
    return pack_documents(
        iter(documents), tokenizer, num_tokens, split_long=split_long, show_progress=False
    )


Encode = Callable[[Codec, SearchPath], TokenSequence]
"""The encoding of a path in one stage; picklable."""


def encode_paths(
    file: Path,
    tokenizer: PreTrainedTokenizerBase,
    encode: Encode,
    families: Collection[str],
    tokens: int,
    shares: Mapping[str, float] | None = None,
    rng: random.Random | None = None,
) -> FlatSequences:
    """Paths of a paths.parquet up to each task's share of `tokens` tokens, by `shares` (1 if not
    named), in random order with `rng`. A task without paths has no share.

    Without shares by tokens, a task with long paths would take most of the training. All cores
    encode where there is much to do; the result does not depend on how many.
    """
    groups = list(range(num_path_groups(file)))
    if rng is not None:
        rng.shuffle(groups)
    present = path_families(file)
    parts = {name: (shares or {}).get(name, 1.0) for name in families if name in present}
    whole = sum(parts.values())
    left = {name: tokens * part / whole for name, part in parts.items()}
    chosen: list[FlatSequences] = []
    work = partial(_encode_group, file, tokenizer, encode)
    with progress("encode", tokens, "token") as advance, _mapping(tokens) as mapped:
        for names, sequences in mapped(work, groups):
            before, order = sum(left.values()), list(range(len(names)))
            if rng is not None:
                rng.shuffle(order)
            taken = _within_shares(order, names, sequences.lengths, left)
            chosen.append(sequences.take(taken))
            advance(round(before - sum(left.values())))
            if max(left.values(), default=0) <= 0:
                break
    return FlatSequences.joined(chosen)


def _within_shares(
    order: Sequence[int], names: Sequence[str], lengths: Sequence[int], left: dict[str, float]
) -> list[int]:
    """The indices of `order` whose task has tokens left; `left` is updated."""
    taken = []
    for index in order:
        if left.get(names[index], 0) > 0:
            left[names[index]] -= lengths[index]
            taken.append(index)
    return taken


@contextmanager
def _mapping(tokens: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """`map`, or that of a process pool where there are many tokens to encode."""
    if tokens < _WORTH_A_POOL:
        yield map
        return
    with ProcessPoolExecutor(mp_context=get_context("forkserver")) as pool:
        yield partial(_map_in_order, pool)


def _map_in_order(
    pool: ProcessPoolExecutor, work: Callable[[int], Any], groups: Sequence[int]
) -> Iterator[Any]:
    """As `pool.map`, with a bounded number of results in memory."""
    waiting: deque[Future[Any]] = deque()
    for group in groups:
        waiting.append(pool.submit(work, group))
        if len(waiting) >= _RESULTS_AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _encode_group(
    file: Path, tokenizer: PreTrainedTokenizerBase, encode: Encode, group: int
) -> tuple[list[str], FlatSequences]:
    """Task names and sequences of one row group."""
    codec = _codec(tokenizer)
    paths = list(read_path_group(file, group))
    sequences = FlatSequences.of(encode(codec, path) for path in paths)
    return [path.problem.family for path in paths], sequences


_codecs: dict[str, Codec] = {}


def _codec(tokenizer: PreTrainedTokenizerBase) -> Codec:
    """One Codec a process and vocabulary: it caches the ids of repeated texts."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    key = str(sorted(tokenizer.get_vocab().items())[:50]) + str(len(tokenizer))
    if key not in _codecs:
        _codecs[key] = Codec(Vocabulary.require(tokenizer))
    return _codecs[key]
