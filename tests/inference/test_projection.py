"""A Projection gives the output of torch's own linear layer."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from steiner.inference import projection
from steiner.inference.projection import Projection

LARGE, SMALL = (600, 512), (40, 24)
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.02}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [LARGE, SMALL])
@pytest.mark.parametrize("rows", [1, 16, 700])
@pytest.mark.parametrize("has_bias", [False, True])
def test_product_equals_that_of_a_linear_layer(
    dtype: torch.dtype, shape: tuple[int, int], rows: int, has_bias: bool
) -> None:
    generator = torch.Generator().manual_seed(rows)
    weight = (torch.randn(shape, generator=generator) * shape[1] ** -0.5).to(dtype)
    bias = torch.randn(shape[0], generator=generator).to(dtype) if has_bias else None
    inputs = torch.randn(rows, shape[1], generator=generator).to(dtype)

    product = Projection(weight, bias)(inputs)

    expected = F.linear(inputs.double(), weight.double(), None if bias is None else bias.double())
    assert product.dtype == dtype
    torch.testing.assert_close(
        product.double(), expected, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype]
    )


def test_weights_are_copied() -> None:
    weight, inputs = torch.ones(LARGE), torch.ones(1, LARGE[1])
    layer = Projection(weight)
    weight.zero_()
    assert torch.equal(layer(inputs), torch.full((1, LARGE[0]), float(LARGE[1])))


def test_product_without_onednn(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, inputs = torch.randn(LARGE), torch.randn(3, LARGE[1])
    expected = Projection(weight)(inputs)

    def is_missing(*_: object) -> torch.Tensor:
        raise RuntimeError("no such operation")

    monkeypatch.setattr(projection, "_reordered", is_missing)
    projection._can_reorder.cache_clear()
    plain = Projection(weight)(inputs)
    projection._can_reorder.cache_clear()
    torch.testing.assert_close(plain, expected)
