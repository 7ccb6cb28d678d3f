"""Token losses and perplexity, with logits computed only where a token carries a loss weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import MethodType
from typing import Any

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from steiner.data.packed_rows import PackedRows
from steiner.models.logits import logits_of

CHUNK_TOKENS = 512
"""Positions whose logits are in memory at a time; of a vocabulary of 151,936 they take 311 MB."""
Head = Callable[[torch.Tensor], torch.Tensor]
"""Hidden states (N, D) -> logits (N, V)."""


def token_losses(
    model: PreTrainedModel, ids_BT: torch.Tensor, weights_BT: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy (N,) of the N tokens that carry a loss weight, and their weights (N,).

    Memory does not depend on the vocabulary: logits are computed in chunks of CHUNK_TOKENS
    positions and again in the backward pass, instead of being kept.
    """
    hidden_BTD = model.get_decoder()(input_ids=ids_BT, use_cache=False).last_hidden_state
    chosen_BT = weights_BT[:, 1:] != 0
    hidden_ND, targets_N = hidden_BTD[:, :-1][chosen_BT], ids_BT[:, 1:][chosen_BT]
    loss_N = chunked_cross_entropy(partial(logits_of, model), hidden_ND, targets_N)
    return loss_N, weights_BT[:, 1:][chosen_BT]


@contextmanager
def forward_gives_losses(model: PreTrainedModel) -> Iterator[None]:
    """Within the block, `model(input_ids, loss_weights)` returns `token_losses`.

    A trainer calls the model through its wrapper (autocast, DistributedDataParallel), so that
    gradients are averaged across processes; the wrapper sees only `forward`.
    """

    def forward(
        self: PreTrainedModel, input_ids: torch.Tensor, loss_weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return token_losses(self, input_ids, loss_weights)

    with forward_replaced(model, forward):
        yield


@contextmanager
def forward_replaced(model: PreTrainedModel, forward: Callable[..., Any]) -> Iterator[None]:
    """Within the block, calling `model`, also through a wrapper, calls `forward(model, ...)`."""
    before = model.__dict__.get("forward")  # such as accelerate's, in mixed precision
    model.forward = MethodType(forward, model)
    try:
        yield
    finally:
        del model.forward
        if before is not None:
            model.forward = before


def chunked_cross_entropy(
    head: Head, hidden_ND: torch.Tensor, targets_N: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy (N,) of `targets_N` under the logits `head(hidden_ND)`.

    The last chunk is padded to the size of the others, so that all have one shape.
    """
    num_tokens = len(targets_N)
    padding = -num_tokens % CHUNK_TOKENS if num_tokens else CHUNK_TOKENS
    hidden_ND = torch.nn.functional.pad(hidden_ND, (0, 0, 0, padding))
    targets_N = torch.nn.functional.pad(targets_N, (0, padding))
    losses = [
        checkpoint(_cross_entropy, head, hidden_CD, targets_C, use_reentrant=False)
        for hidden_CD, targets_C in zip(
            hidden_ND.split(CHUNK_TOKENS), targets_N.split(CHUNK_TOKENS), strict=True
        )
    ]
    return torch.cat(losses)[:num_tokens].clone()  # FSDP2 warns of a view


def _cross_entropy(head: Head, hidden_CD: torch.Tensor, targets_C: torch.Tensor) -> torch.Tensor:
    logits_CV = head(hidden_CD).float()
    return torch.nn.functional.cross_entropy(logits_CV, targets_C, reduction="none")


@torch.no_grad()  # not inference_mode: FSDP keeps its buffers for the training
def perplexity(model: PreTrainedModel, rows: PackedRows, batch_rows: int = 32) -> float:
    """exp of the mean cross-entropy per token of `rows`, whatever its loss weight, but padding.

    If the weights are spread over processes, all of them must call it.
    """
    training = model.training
    model.eval()
    total, count = 0.0, 0
    with forward_gives_losses(model):
        for start in range(0, len(rows), batch_rows):
            ids_NT = torch.from_numpy(rows.ids_NT[start : start + batch_rows].astype(np.int64))
            weights_NT = torch.from_numpy(rows.weights_NT[start : start + batch_rows])
            batch = {"input_ids": ids_NT, "loss_weights": weights_NT}
            loss_N, _ = model(**{name: value.to(model.device) for name, value in batch.items()})
            total, count = total + float(loss_N.sum()), count + loss_N.numel()
    model.train(training)
    return math.exp(total / max(1, count))
