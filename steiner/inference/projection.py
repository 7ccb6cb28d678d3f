"""A linear layer whose weights stay the same for many products.

x (N, in) -> x @ weight.T + bias (N, out)

On a CPU, oneDNN has a layout of its own for weights, and a plain product with a few rows spends
half of its time on the rearrangement. Here that is done once, by the two operations with which
torch.compile does it for frozen weights.
"""

from __future__ import annotations

from functools import cache

import torch

_ROWS = 16
"""Rows for which oneDNN chooses the layout. It serves 1 to 4,096 rows about as well as a layout of
their own."""

_FEWEST_WEIGHTS = 2**18
"""With fewer, the call alone takes longer than a plain product."""


class Projection:
    """A copy of `weight` (out, in), and `bias` (out)."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        self._bias = bias
        self._is_reordered = (
            weight.device.type == "cpu"
            and weight.numel() >= _FEWEST_WEIGHTS
            and _can_reorder(weight.dtype)
        )
        if self._is_reordered:
            self._weight = _reordered(weight)
        else:
            self._weight = weight.t().contiguous()

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """The layer's output for `inputs` (N, in), all of one dtype."""
        if self._is_reordered:
            return _product(inputs, self._weight, self._bias)
        if self._bias is None:
            return torch.mm(inputs, self._weight)
        return torch.addmm(self._bias, inputs, self._weight)


@cache
def _can_reorder(dtype: torch.dtype) -> bool:
    """Tries it: builds without oneDNN lack the operations, and processors differ in the formats."""
    one = torch.ones(2, 2, dtype=dtype)
    try:
        return torch.equal(_product(one, _reordered(one), None), one + one)
    except (AttributeError, RuntimeError):
        return False


def _reordered(weight: torch.Tensor) -> torch.Tensor:
    weight = weight.contiguous()
    reordered: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS)
    return reordered


def _product(inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """The product of the layer; "none" and what follows it stand for no activation after it."""
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
    return product
