"""Replays the budget mask over finished completions, as if it had just written them.

(Requests, their completions) -> which tokens were forced, which were allowed, what max_tokens cut

For backends whose sampler runs elsewhere, such as vLLM with the step-budget plugin: the server
returns tokens and log-probabilities, and everything that depends on the mask is computed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from steiner.format.tokenizer import Vocabulary
from steiner.inference.budget import BudgetMask, opening_ids
from steiner.inference.request import Request


@dataclass(frozen=True, slots=True)
class Replay:
    """One completion of T tokens under the mask of its request."""

    forced: tuple[bool, ...]
    """(T,) True where the mask allowed exactly one token."""
    cut: tuple[bool, ...]
    """(T,) True from the first token that max_tokens restricted."""
    num_allowed: int
    """How many leading tokens the mask allows: T, unless they were sampled without it."""


def replay(
    vocabulary: Vocabulary, requests: Sequence[Request], completions: Sequence[Sequence[int]]
) -> list[Replay]:
    """A Replay for each request and its completion, which includes the format's opening."""
    opening = opening_ids(vocabulary)
    openings = [opening if request.reasoning else [] for request in requests]
    after = [ids[len(start) :] for start, ids in zip(openings, completions, strict=True)]
    forced_BT, allowed_BT, cut_BT = _masked(vocabulary, requests, after)
    return [
        Replay(
            forced=(True,) * len(start) + tuple(forced_T[: len(ids)]),
            cut=(False,) * len(start) + tuple(cut_T[: len(ids)]),
            num_allowed=_num_leading(
                [*map(int.__eq__, start, whole), *allowed_T[: len(ids)]],
            ),
        )
        for start, whole, ids, forced_T, allowed_T, cut_T in zip(
            openings, completions, after, forced_BT, allowed_BT, cut_BT, strict=True
        )
    ]


def _masked(
    vocabulary: Vocabulary, requests: Sequence[Request], completions: Sequence[Sequence[int]]
) -> tuple[list[list[bool]], list[list[bool]], list[list[bool]]]:
    """Forced, allowed and cut for each token after the opening; rows are padded to one length."""
    rows, longest = len(requests), max(map(len, completions), default=0)
    if not longest:
        return [[]] * rows, [[]] * rows, [[]] * rows
    mask = BudgetMask(vocabulary, len(vocabulary.tokenizer), rows, torch.device("cpu"))
    for row, request in enumerate(requests):
        mask.begin(row, request.budget, reasoning=request.reasoning)
    padded = [[*ids, *[vocabulary.close_id] * (longest - len(ids))] for ids in completions]
    forced, allowed, cut = [], [], []
    for tokens_B in torch.tensor(padded).T:
        mask.choose_modes(rows)
        forced.append(mask.forced())
        allowed.append(mask.allows(tokens_B))
        cut.append(mask.cuts(rows).bool())
        mask.advance(tokens_B)
    return _rows(forced), _rows(allowed), _rows(cut)


def _rows(columns: Sequence[torch.Tensor]) -> list[list[bool]]:
    """T columns (B,) as B lists of T values."""
    rows: list[list[bool]] = torch.stack(list(columns), 1).tolist()
    return rows


def _num_leading(allowed: Sequence[bool]) -> int:
    """The number of True values before the first False."""
    return [*allowed, False].index(False)
