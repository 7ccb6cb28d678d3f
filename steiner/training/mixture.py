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

ROW_TOKENS = 256
HELD_OUT_DOCUMENTS = 400
_ENCODE_AT_ONCE = 2_000


class PackedRows(Sequence[TokenSequence]):
    """Documents end to end, cut into rows of ROW_TOKENS; every token carries loss.

    Kept as one uint16 or int32 array (N, T), since millions of Python integers would not fit.
    """

    def __init__(self, ids_NT: np.ndarray) -> None:
        self.ids_NT = ids_NT
        self._weights = (1.0,) * ids_NT.shape[1]
        self._steps = (-1,) * ids_NT.shape[1]

    def __len__(self) -> int:
        return len(self.ids_NT)

    @overload
    def __getitem__(self, index: int) -> TokenSequence: ...
    @overload
    def __getitem__(self, index: slice) -> PackedRows: ...
    def __getitem__(self, index: int | slice) -> TokenSequence | PackedRows:
        if isinstance(index, slice):
            return PackedRows(self.ids_NT[index])
        return TokenSequence(tuple(self.ids_NT[index].tolist()), self._weights, self._steps)


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
    """About `tokens` tokens of documents, each closed by the padding token."""
    rows = max(1, tokens // row_tokens) if tokens else 0
    flat = np.empty(rows * row_tokens, dtype=np.int32)
    filled = 0
    with tqdm(total=flat.size, unit="tok", desc="text", disable=not show_progress) as bar:
        while filled < flat.size:
            ids = _encode(islice(documents, _ENCODE_AT_ONCE), tokenizer)
            taken = min(len(ids), flat.size - filled)
            flat[filled : filled + taken] = ids[:taken]
            filled += taken
            bar.update(taken)
    return PackedRows(flat.reshape(rows, row_tokens))


def _encode(documents: Iterable[Document], tokenizer: PreTrainedTokenizerBase) -> list[int]:
    texts = [document_text(document, tokenizer) for document in documents]
    close = int(tokenizer.pad_token_id or 0)
    ids: list[int] = []
    for row in tokenizer(texts, add_special_tokens=False)["input_ids"]:
        ids += [*row, close]
    return ids


def held_out_rows(tokenizer: PreTrainedTokenizerBase) -> PackedRows:
    """Ordinary text that no training sees, as rows."""
    ids = _encode(held_out_documents(HELD_OUT_DOCUMENTS), tokenizer)
    rows = len(ids) // ROW_TOKENS
    return PackedRows(np.asarray(ids[: rows * ROW_TOKENS], dtype=np.int32).reshape(rows, -1))


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
        ids_BT = torch.from_numpy(rows.ids_NT[start : start + batch_rows].astype(np.int64))
        ids_BT = ids_BT.to(model.device)
        loss_N, _ = token_losses(model, ids_BT, torch.ones(ids_BT.shape, device=model.device))
        total, count = total + float(loss_N.sum()), count + loss_N.numel()
    model.train(training)
    return math.exp(total / max(1, count))
