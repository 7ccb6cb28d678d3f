"""Muon for the matrices inside the model, AdamW for all other parameters, as one optimiser.

Muon (training/muon.py) learned several times faster than AdamW alone at batches of some thousand
tokens. This joins the two, so that a trainer sees one optimiser.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim import AdamW, Optimizer

from steiner.training.muon import Muon


class MuonAdamW(Optimizer):
    """Steps both; schedulers see the parameter groups of both."""

    def __init__(self, muon: Muon, adamw: AdamW) -> None:
        self.parts: tuple[Optimizer, ...] = (muon, adamw)
        super().__init__([group for part in self.parts for group in part.param_groups], {})
        self._share_groups()

    def _share_groups(self) -> None:
        """Lets the parts' groups be the very dicts that schedulers change."""
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of all parameters."""
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The states of both."""
        return {"parts": [part.state_dict() for part in self.parts], "param_groups": []}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores both."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self._share_groups()


def build_optimizer(model: torch.nn.Module, *, muon_lr: float, adam_lr: float) -> Optimizer:
    """Muon at `muon_lr` for the matrices, AdamW at `adam_lr` for the rest; with a `muon_lr` of 0,
    AdamW for everything, as fine-tuning of a pretrained model needs it.

    Embeddings are not matrices in this sense. Neither are the query and key projections: nothing in
    Qwen2 bounds their product, and under Muon attention saturates before it has learned to look
    anything up (docs/log.md).
    """
    if not muon_lr:
        trained = [p for p in model.parameters() if p.requires_grad]
        return AdamW(trained, lr=adam_lr, betas=(0.9, 0.98), weight_decay=0.0)
    embeddings = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, torch.nn.Embedding)
        for parameter in module.parameters()
    }
    head = getattr(model, "get_output_embeddings", lambda: None)()
    if head is not None:
        embeddings |= {id(parameter) for parameter in head.parameters()}
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            looks_up = "q_proj" in name or "k_proj" in name or id(parameter) in embeddings
            (others if looks_up or parameter.ndim != 2 else matrices).append(parameter)
    return MuonAdamW(
        Muon(matrices, lr=muon_lr),
        AdamW(others, lr=adam_lr, betas=(0.9, 0.98), weight_decay=0.0),
    )
