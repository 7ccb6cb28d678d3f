"""Token losses and perplexity, with logits computed only where a token carries a loss weight.

The gradients with respect to the hidden states and the head are computed together with the losses,
chunk by chunk. So no logits are kept for the backward pass, and none are computed twice (the fused
linear cross-entropy of Liger Kernel, arXiv:2410.10989, section 3.2, for any head).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import MethodType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel

from steiner.allocator import trim_heap
from steiner.data.packed_rows import PackedRows
from steiner.models.logits import logits_of

_LARGE_BLOCK = 8 << 20
"""Bytes of a batch's hidden states in fp32 from which a forward pass leaves much free memory."""
CHUNK_TOKENS = 512
"""Positions whose logits are in memory at a time; of a vocabulary of 151,936 they take 311 MB."""
Head = Callable[[torch.Tensor], torch.Tensor]
"""Hidden states (N, D) -> logits (N, V)."""


class TokenLosses(NamedTuple):
    """The losses of the N tokens that carry a loss weight."""

    total: torch.Tensor
    """Sum of losses times weights; the only one with a gradient."""
    loss_N: torch.Tensor
    """Cross-entropy."""
    weight_N: torch.Tensor


def token_losses(
    model: PreTrainedModel, ids_BT: torch.Tensor, weights_BT: torch.Tensor
) -> TokenLosses:
    """The losses of the tokens that carry a loss weight.

    Memory does not depend on the number of tokens times the vocabulary: the logits of CHUNK_TOKENS
    positions are in memory at a time.
    """
    with _heap_trimmed(model, ids_BT):
        hidden_BTD = model.get_decoder()(input_ids=ids_BT, use_cache=False).last_hidden_state
    chosen_BT = weights_BT[:, 1:] != 0
    hidden_ND, targets_N = hidden_BTD[:, :-1][chosen_BT], ids_BT[:, 1:][chosen_BT]
    weight_N = weights_BT[:, 1:][chosen_BT]
    total, loss_N = chunked_cross_entropy(partial(logits_of, model), hidden_ND, targets_N, weight_N)
    return TokenLosses(total, loss_N, weight_N)


@contextmanager
def _heap_trimmed(model: PreTrainedModel, ids_BT: torch.Tensor) -> Iterator[None]:
    """Returns the free pages of the heap in the middle of the layers and at the end of the block.

    Only for large hidden states in main memory: malloc hardly reuses what the layers freed between
    inputs that are kept (docs/log.md).
    """
    num_bytes = 4 * ids_BT.numel() * model.config.get_text_config().hidden_size
    layers = getattr(model.get_decoder(), "layers", ())
    if ids_BT.device.type != "cpu" or num_bytes < _LARGE_BLOCK or not len(layers):
        yield
        return
    hook = layers[len(layers) // 2].register_forward_hook(lambda *_: trim_heap())
    try:
        yield
    finally:
        hook.remove()
    trim_heap()


@contextmanager
def forward_gives_losses(model: PreTrainedModel) -> Iterator[None]:
    """Within the block, `model(input_ids, loss_weights)` returns `token_losses`.

    A trainer calls the model through its wrapper (autocast, DistributedDataParallel), so that
    gradients are averaged across processes; the wrapper sees only `forward`.
    """

    def forward(
        self: PreTrainedModel, input_ids: torch.Tensor, loss_weights: torch.Tensor
    ) -> TokenLosses:
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
    head: Head, hidden_ND: torch.Tensor, targets_N: torch.Tensor, weight_N: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The cross-entropies of `targets_N` under the logits `head(hidden_ND)`: their weighted sum,
    and each of them (N,), without gradient.

    The last chunk is padded to the size of the others, so that all have one shape.
    """
    num_tokens = len(targets_N)
    padding = -num_tokens % CHUNK_TOKENS if num_tokens else CHUNK_TOKENS
    hidden_ND = torch.nn.functional.pad(hidden_ND, (0, 0, 0, padding))
    targets_N, weight_N = (
        torch.nn.functional.pad(values, (0, padding)) for values in (targets_N, weight_N)
    )
    parameters = _parameters_of(head, hidden_ND) if torch.is_grad_enabled() else []
    if torch.is_grad_enabled() and not any(hasattr(weight, "ds_id") for weight in parameters):
        apply: Any = _CrossEntropy.apply
        total, loss_N = apply(head, hidden_ND, targets_N, weight_N, *parameters)
    else:
        total, loss_N = _with_logits_twice(head, hidden_ND, targets_N, weight_N)
    return total, loss_N[:num_tokens].clone()  # FSDP2 warns of a view


def _parameters_of(head: Head, hidden_ND: torch.Tensor) -> list[torch.Tensor]:
    """The weights that a gradient of the head's logits reaches."""
    nodes: list[Any] = [head(hidden_ND[:1].detach()).grad_fn]
    seen, found = {None, *nodes}, []
    while nodes:
        node = nodes.pop()
        if hasattr(node, "variable"):
            found.append(node.variable)
        new = {below for below, _ in getattr(node, "next_functions", ())} - seen
        seen |= new
        nodes += new
    return found


class _CrossEntropy(torch.autograd.Function):
    """The weighted sum and the losses, with the gradients of the sum computed at once."""

    @staticmethod
    def forward(
        ctx: Any,
        head: Head,
        hidden_ND: torch.Tensor,
        targets_N: torch.Tensor,
        weight_N: torch.Tensor,
        *parameters: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keeps the gradients of the hidden states and of `parameters`, the head's weights."""
        losses, gradients = [], []
        sums: Sequence[torch.Tensor] = ()
        total = weight_N.new_zeros(())
        for hidden_CD, targets_C, weight_C in _chunks(hidden_ND, targets_N, weight_N):
            with torch.enable_grad():
                hidden_CD = hidden_CD.detach().requires_grad_()
                loss_C = _cross_entropy(head, hidden_CD, targets_C)
                chunk_total = (loss_C * weight_C).sum()
            of_hidden_CD, *new = torch.autograd.grad(chunk_total, (hidden_CD, *parameters))
            sums = [old.add_(more) for old, more in zip(sums, new, strict=True)] if sums else new
            losses.append(loss_C.detach())
            gradients.append(of_hidden_CD)
            total += chunk_total.detach()
        ctx.gradients = [torch.cat(gradients), *sums]
        loss_N = torch.cat(losses)
        ctx.mark_non_differentiable(loss_N)
        return total, loss_N

    @staticmethod
    def backward(ctx: Any, *of_outputs: torch.Tensor) -> Any:
        """The kept gradients times that of the sum."""
        of_hidden, *of_parameters = (kept.mul_(of_outputs[0]) for kept in ctx.gradients)
        del ctx.gradients  # they are changed in place, so a second pass would be wrong
        return None, of_hidden, None, None, *of_parameters


def _with_logits_twice(
    head: Head, hidden_ND: torch.Tensor, targets_N: torch.Tensor, weight_N: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same, with logits computed again in the backward pass, if there is one.

    For weights that DeepSpeed has spread over processes, which are whole only while their module
    runs: gradients of such weights have no place to go at another time.
    """
    loss_N = torch.cat(
        [
            checkpoint(_cross_entropy, head, hidden_CD, targets_C, use_reentrant=False)
            for hidden_CD, targets_C in _chunks(hidden_ND, targets_N)
        ]
    )
    return (loss_N * weight_N).sum(), loss_N.detach()


def _chunks(*values: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    return zip(*(value.split(CHUNK_TOKENS) for value in values), strict=True)


def _cross_entropy(head: Head, hidden_CD: torch.Tensor, targets_C: torch.Tensor) -> torch.Tensor:
    logits_CV = head(hidden_CD).float()
    return torch.nn.functional.cross_entropy(logits_CV, targets_C, reduction="none")


@torch.no_grad()  # not inference_mode: FSDP keeps its buffers for the training
def perplexity(
    model: PreTrainedModel, rows: PackedRows, *, bf16: bool = False, batch_tokens: int = 4096
) -> float:
    """exp of the mean cross-entropy per token of `rows`, whatever its loss weight, but padding.

    With `bf16`, matrix products are in bf16, as in a training in bf16; losses are in fp32. A batch
    has at most `batch_tokens`, or one row. If the weights are spread over processes, all of them
    must call it.
    """
    training = model.training
    model.eval()
    total, count = 0.0, 0
    batch_rows = max(1, batch_tokens // rows.ids_NT.shape[1])
    autocast = torch.autocast(model.device.type, torch.bfloat16, enabled=bf16)
    with forward_gives_losses(model), autocast:
        for start in range(0, len(rows), batch_rows):
            ids_NT = torch.from_numpy(rows.ids_NT[start : start + batch_rows].astype(np.int64))
            weights_NT = torch.from_numpy(rows.weights_NT[start : start + batch_rows])
            batch = {"input_ids": ids_NT, "loss_weights": weights_NT}
            found = model(**{name: value.to(model.device) for name, value in batch.items()})
            total, count = total + float(found.loss_N.sum()), count + found.loss_N.numel()
    model.train(training)
    return math.exp(total / max(1, count))
