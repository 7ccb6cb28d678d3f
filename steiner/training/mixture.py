"""Ordinary text as rows of tokens, its perplexity under a model, and paths mixed with it.

Documents -> PackedRows;  model, Documents -> perplexity
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import overload

import numpy as np
import torch
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from steiner.language.codec import Codec
from steiner.training.ordinary import Document, held_out_documents
from steiner.training.trainer import token_losses
from steiner.types import Path
from steiner.types import Sequence as TokenSequence

ROW_TOKENS = 512
HELD_OUT_DOCUMENTS = 400
_ENCODE_AT_ONCE = 2_000
_OPEN_ROWS = 16
"""Rows that are filled side by side, so that little of each is left over."""


class PackedRows(Sequence[TokenSequence]):
    """Whole documents side by side in rows of ROW_TOKENS; all but the padding carries loss.

    Kept as one uint16 or int32 array (N, T), since millions of Python integers would not fit.
    """

    def __init__(self, ids_NT: np.ndarray, pad_id: int) -> None:
        self.ids_NT, self.pad_id = ids_NT, pad_id
        self._steps = (-1,) * ids_NT.shape[1]

    def __len__(self) -> int:
        return len(self.ids_NT)

    @overload
    def __getitem__(self, index: int) -> TokenSequence: ...
    @overload
    def __getitem__(self, index: slice) -> PackedRows: ...
    def __getitem__(self, index: int | slice) -> TokenSequence | PackedRows:
        if isinstance(index, slice):
            return PackedRows(self.ids_NT[index], self.pad_id)
        ids_T = self.ids_NT[index]
        return TokenSequence(
            tuple(ids_T.tolist()), tuple(self.weights(ids_T).tolist()), self._steps
        )

    def weights(self, ids_NT: np.ndarray) -> np.ndarray:
        """1 for tokens of documents, 0 for padding behind padding: float32, of the same shape. The
        first padding token closes a document."""
        weights_NT = np.ones(ids_NT.shape, dtype=np.float32)
        is_pad_NT = ids_NT == self.pad_id
        weights_NT[..., 1:][is_pad_NT[..., 1:] & is_pad_NT[..., :-1]] = 0.0
        return weights_NT


def document_text(document: Document, tokenizer: PreTrainedTokenizerBase) -> str:
    """Plain text as it is; a dialogue by the chat template."""
    if isinstance(document, str):
        return document
    turns = [{"role": message.role, "content": message.content} for message in document]
    return str(tokenizer.apply_chat_template(turns, tokenize=False))


def pack_documents(
    documents: Iterator[Document],
    tokenizer: PreTrainedTokenizerBase,
    tokens: int,
    *,
    row_tokens: int = ROW_TOKENS,
    show_progress: bool = True,
) -> PackedRows:
    """About `tokens` tokens of documents, each closed by the padding token.

    A document is never cut in two, since half of what it tells could not be known without its
    beginning; one that is longer than a row loses its end.
    """
    close = int(tokenizer.pad_token_id or 0)
    encoded = _encoded(documents, tokenizer)
    return _packed(encoded, close, tokens, row_tokens, show_progress=show_progress)


def _packed(
    documents: Iterable[list[int]],
    close: int,
    tokens: int,
    row_tokens: int = ROW_TOKENS,
    *,
    show_progress: bool = False,
) -> PackedRows:
    num_rows = max(1, tokens // row_tokens) if tokens else 0
    ids_NT = np.full((num_rows, row_tokens), close, dtype=np.int32)
    rows = _rows(documents, row_tokens)
    with tqdm(
        total=num_rows * row_tokens, unit="tok", desc="text", disable=not show_progress
    ) as bar:
        for index, row in enumerate(islice(rows, num_rows)):
            ids_NT[index, : len(row)] = row
            bar.update(row_tokens)
    return PackedRows(ids_NT, close)


def _encoded(
    documents: Iterator[Document], tokenizer: PreTrainedTokenizerBase
) -> Iterator[list[int]]:
    """Each document's tokens and the padding token that closes it."""
    close = int(tokenizer.pad_token_id or 0)
    while texts := [document_text(d, tokenizer) for d in islice(documents, _ENCODE_AT_ONCE)]:
        for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]:
            yield [*ids, close]


def _rows(documents: Iterable[list[int]], row_tokens: int) -> Iterator[list[int]]:
    """Documents put together, each into the fullest of some open rows that has room for it."""
    open_rows: list[list[int]] = []
    for document in documents:
        ids = document[:row_tokens]
        fitting = [row for row in open_rows if len(row) + len(ids) <= row_tokens]
        if fitting:
            max(fitting, key=len).extend(ids)
            continue
        if len(open_rows) == _OPEN_ROWS:
            fullest = max(range(_OPEN_ROWS), key=lambda index: len(open_rows[index]))
            yield open_rows.pop(fullest)
        open_rows.append(list(ids))
    yield from open_rows


def held_out_rows(tokenizer: PreTrainedTokenizerBase) -> PackedRows:
    """Ordinary text that no training sees, as rows."""
    documents = list(_encoded(iter(held_out_documents(HELD_OUT_DOCUMENTS)), tokenizer))
    return _packed(documents, int(tokenizer.pad_token_id or 0), sum(map(len, documents)))


def encode_paths(
    codec: Codec,
    paths: Iterable[Path],
    families: Collection[str],
    tokens: int,
    wrong_turn_loss: float = 1.0,
) -> list[TokenSequence]:
    """The first `paths` of each of `families` that make an even share of `tokens` tokens.

    A family whose paths are long would else take most of the training.
    """
    left = dict.fromkeys(families, tokens / max(1, len(families)))
    chosen: list[TokenSequence] = []
    for path in paths:
        if left.get(path.problem.family, 0) > 0:
            chosen.append(codec.encode_path(path, wrong_turn_loss))
            left[path.problem.family] -= len(chosen[-1].token_ids)
        elif max(left.values(), default=0) <= 0:
            break
    return chosen


@torch.inference_mode()
def perplexity(model: PreTrainedModel, rows: PackedRows, batch_rows: int = 32) -> float:
    """exp of the mean cross-entropy per token of `rows`."""
    training = model.training
    model.eval()
    total, count = 0.0, 0
    for start in range(0, len(rows), batch_rows):
        ids_NT = rows.ids_NT[start : start + batch_rows].astype(np.int64)
        weights_NT = torch.from_numpy(rows.weights(ids_NT)).to(model.device)
        loss_N, _ = token_losses(model, torch.from_numpy(ids_NT).to(model.device), weights_NT)
        total, count = total + float(loss_N.sum()), count + loss_N.numel()
    model.train(training)
    return math.exp(total / max(1, count))
