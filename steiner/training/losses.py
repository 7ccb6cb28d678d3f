"""Token losses and perplexity, with logits computed only where a token carries a loss weight."""

from __future__ import annotations

import math

import numpy as np
import torch
from transformers import PreTrainedModel

from steiner.data.packed_rows import PackedRows


def token_losses(
    model: PreTrainedModel, ids_BT: torch.Tensor, weights_BT: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy (N,) of the N tokens that carry a loss weight, and their weights (N,)."""
    hidden_BTD = model.get_decoder()(input_ids=ids_BT, use_cache=False).last_hidden_state
    chosen = weights_BT[:, 1:] != 0
    hidden_ND = hidden_BTD[:, :-1][chosen]
    logits_NV = model.get_output_embeddings()(hidden_ND)
    loss_N = torch.nn.functional.cross_entropy(
        logits_NV.float(), ids_BT[:, 1:][chosen], reduction="none"
    )
    return loss_N, weights_BT[:, 1:][chosen]


@torch.inference_mode()
def perplexity(model: PreTrainedModel, rows: PackedRows, batch_rows: int = 32) -> float:
    """exp of the mean cross-entropy per token of `rows`, whatever its loss weight, but padding."""
    training = model.training
    model.eval()
    total, count = 0.0, 0
    for start in range(0, len(rows), batch_rows):
        ids_NT = rows.ids_NT[start : start + batch_rows].astype(np.int64)
        weights_NT = torch.from_numpy(rows.weights_NT[start : start + batch_rows]).to(model.device)
        loss_N, _ = token_losses(model, torch.from_numpy(ids_NT).to(model.device), weights_NT)
        total, count = total + float(loss_N.sum()), count + loss_N.numel()
    model.train(training)
    return math.exp(total / max(1, count))
