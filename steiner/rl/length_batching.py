"""Regroups rollouts into batches of similar length, with little padding.

TRL's batches, each with padding common to all -> as many batches without it
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from steiner.data.batching import padded_length


def by_length(
    batches: Sequence[Mapping[str, torch.Tensor]], num_updates: int
) -> list[dict[str, torch.Tensor]]:
    """The same rows in as many batches of as many rows, without common padding.

    Each optimiser step gets short and long rollouts; each of its batches has rows of similar
    length. The order depends on the rollouts only, so a resumed run repeats it.
    """
    whole = {
        name: torch.cat([batch[name] for batch in batches]) if value.dim() else value
        for name, value in batches[0].items()
    }
    order = (whole["completion_mask"].sum(1) * len(whole["row"]) + whole["row"]).argsort()
    return [
        _trimmed({name: value[rows] if value.dim() else value for name, value in whole.items()})
        for update in range(num_updates)
        for rows in order[update::num_updates].chunk(len(batches) // num_updates)
    ]


def _trimmed(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Without columns that are padding in every row: prompts end, completions begin, together."""
    prompt = _padded_length(batch["prompt_mask"])
    completion = _padded_length(batch["completion_mask"])
    trimmed = {}
    for name, value in batch.items():
        if value.dim() < 2:
            trimmed[name] = value
        elif name.startswith("prompt"):
            trimmed[name] = value[:, value.shape[1] - prompt :]
        else:
            trimmed[name] = value[:, :completion]
    return trimmed


def _padded_length(mask_BT: torch.Tensor) -> int:
    """The longest row's length, up to a common length (data/batching.py), at most T."""
    return min(mask_BT.shape[1], padded_length(int(mask_BT.sum(1).max())))
