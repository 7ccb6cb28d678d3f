"""Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon/), matrices side by side.

PyTorch's own takes one matrix after another, always in bf16, which on a CPU without bf16 arithmetic
was half of a training step (docs/log.md). Here matrices of like shape are one batch, in the number
format that the device multiplies fastest. The momentum and the rate's dependence on a matrix's
shape are PyTorch's, and so are the results (a test compares them).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch.optim import Optimizer

from steiner.models.precision import fastest_dtype

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_AT_ONCE = 2**26
"""Most numbers in one batch of matrices, to bound memory."""


class Muon(Optimizer):
    """Momentum whose every update of a matrix has singular values near 1, times the rate.

    The rate counts sqrt(rows / columns) times for a matrix of more rows than columns.
    """

    def __init__(
        self, params: Iterable[torch.nn.Parameter], lr: float, momentum: float = 0.95
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of all matrices that have a gradient."""
        for group in self.param_groups:
            alike: dict[tuple[torch.Size, torch.device], list[torch.nn.Parameter]]
            alike = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape, parameter.device].append(parameter)
            for parameters in alike.values():
                at_once = max(1, _AT_ONCE // parameters[0].numel())
                for start in range(0, len(parameters), at_once):
                    self._update(parameters[start : start + at_once], **group)

    def _update(
        self, parameters: list[torch.nn.Parameter], lr: float, momentum: float, **_: object
    ) -> None:
        rows, columns = parameters[0].shape
        steps = [self._step_of(parameter, momentum) for parameter in parameters]
        rate = lr * max(1.0, rows / columns) ** 0.5
        for parameter, step in zip(parameters, orthogonal(torch.stack(steps)), strict=True):
            parameter.add_(step, alpha=-rate)

    def _step_of(self, parameter: torch.nn.Parameter, momentum: float) -> torch.Tensor:
        """The gradient with Nesterov's momentum."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        average: torch.Tensor = state["momentum_buffer"]
        average.lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(average, momentum)


def orthogonal(matrices_NRC: torch.Tensor) -> torch.Tensor:
    """The matrices (N, R, C) with all their singular values brought to between 0.7 and 1.2, by five
    Newton-Schulz iterations."""
    if matrices_NRC.shape[1] > matrices_NRC.shape[2]:
        return orthogonal(matrices_NRC.mT).mT
    a, b, c = _COEFFICIENTS
    norms = matrices_NRC.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    X: torch.Tensor = (matrices_NRC / norms).to(fastest_dtype(matrices_NRC.device.type))
    for _ in range(_ITERATIONS):
        gram = X @ X.mT
        X = torch.baddbmm(X, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), X, beta=a)
    return X.to(matrices_NRC.dtype)
