"""Local response normalisation against the paper's sum, torch's own function, and gradcheck."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from imagetree.alexnet.lrn import local_response_norm


def naive(x: torch.Tensor, size: int, alpha: float, beta: float, k: float) -> torch.Tensor:
    """The formula of the paper, section 3.3, map by map."""
    result = torch.empty_like(x)
    maps = x.shape[1]
    for i in range(maps):
        low, high = max(0, i - size // 2), min(maps - 1, i + size // 2)
        squares = sum(x[:, j] ** 2 for j in range(low, high + 1))
        result[:, i] = x[:, i] / (k + alpha * squares) ** beta
    return result


@pytest.mark.parametrize("beta", [0.75, 0.5])
def test_equals_the_papers_sum(beta: float) -> None:
    x = torch.randn(2, 9, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    ours = local_response_norm(10 * x, 5, 0.01, beta, 2.0)
    torch.testing.assert_close(ours, naive(10 * x, 5, 0.01, beta, 2.0), rtol=1e-12, atol=1e-12)


def test_equals_torch_with_alpha_times_size() -> None:
    """Torch divides the sum by the size; the paper does not."""
    x = 30 * torch.randn(2, 96, 7, 7, generator=torch.Generator().manual_seed(0))
    theirs = functional.local_response_norm(x, 5, alpha=5e-4, beta=0.75, k=2.0)
    torch.testing.assert_close(local_response_norm(x), theirs, rtol=1e-5, atol=1e-6)


def test_gradient() -> None:
    x = torch.randn(2, 7, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: local_response_norm(x, 5, 0.1), x)


def test_bf16_channels_last_is_close_to_float64() -> None:
    x = torch.randn(2, 96, 9, 9, generator=torch.Generator().manual_seed(1)) * 20
    exact = naive(x.double(), 5, 1e-4, 0.75, 2.0)
    ours = local_response_norm(x.bfloat16().to(memory_format=torch.channels_last))
    assert ours.is_contiguous(memory_format=torch.channels_last)
    assert ((ours.double() - exact).abs() / exact.abs().clamp_min(1e-3)).max() < 2e-2


def test_autocast_leaves_its_precision_alone() -> None:
    """Inside a bf16 context a float32 input is still summed in float32."""
    x = 30 * torch.randn(1, 96, 5, 5, generator=torch.Generator().manual_seed(2))
    with torch.autocast("cpu", torch.bfloat16):
        ours = local_response_norm(x)
    torch.testing.assert_close(ours, local_response_norm(x), rtol=0, atol=0)


def test_second_derivative_is_refused() -> None:
    x = torch.randn(1, 5, 2, 2, requires_grad=True)
    (first,) = torch.autograd.grad(local_response_norm(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
