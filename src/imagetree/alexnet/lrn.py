"""Local response normalisation with a backward pass of its own.

The sum over neighbouring maps is a 1 x 1 convolution with a banded matrix of ones: the fastest
form that needs no compiler, and one that bf16 and channels-last share with the convolutions
around it, where torch's own (avg_pool3d over a 5-D view) has no bf16 on the CPU at all.
Source: Krizhevsky et al. 2012, section 3.3.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional


@lru_cache(maxsize=32)
def _band(channels: int, size: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Ones where map j is within size // 2 of map i; (channels, channels, 1, 1)."""
    position = torch.arange(channels, device=device)
    near = (position[:, None] - position[None, :]).abs() <= size // 2
    return near.to(dtype)[:, :, None, None]


def _sum_over_maps(x: torch.Tensor, size: int) -> torch.Tensor:
    with torch.autocast(x.device.type, enabled=False):  # in the precision of x, whatever surrounds
        return functional.conv2d(x, _band(x.shape[1], size, x.dtype, x.device))


def _power(d: torch.Tensor, beta: float) -> torch.Tensor:
    """The power d ** -beta; the usual 0.75 without pow(), which is several times slower."""
    if beta == 0.75:
        root = d.rsqrt()
        return root.mul_(root.sqrt())
    return d.pow(-beta)


class _LocalResponseNorm(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0913 (torch hands every argument of apply on by position)
        ctx: Any,  # torch gives the context no public type
        x: torch.Tensor,
        size: int,
        alpha: float,
        beta: float,
        k: float,
    ) -> torch.Tensor:
        d = _sum_over_maps(x * x, size).mul_(alpha).add_(k)
        scale = _power(d, beta)
        ctx.save_for_backward(x, d, scale)
        ctx.size, ctx.alpha, ctx.beta = size, alpha, beta
        return x * scale

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, d, scale = ctx.saved_tensors
        # dy_j / dx_i = scale_i [i = j] - 2 alpha beta x_i x_j scale_j / d_j [j near i]
        through = _sum_over_maps((grad * x).mul_(scale).div_(d), ctx.size)
        gradient = through.mul_(x).mul_(-2 * ctx.alpha * ctx.beta).addcmul_(grad, scale)
        return gradient, None, None, None, None


def local_response_norm(
    x: torch.Tensor, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> torch.Tensor:
    """Normalise: x / (k + alpha * sum of squares over `size` neighbouring maps) ** beta.

    The paper's convention: the sum is not divided by `size`, so torch's own function gives the
    same with alpha * size.

    Args:
        x: (N, C, H, W), any floating dtype and memory format.
        size: maps in the sum, odd; fewer at the first and last maps.
        alpha: weight of the sum.
        beta: exponent.
        k: constant under the exponent.

    Returns:
        A tensor like x. Differentiable once.

    Source: Krizhevsky et al. 2012, section 3.3.
    """
    result: torch.Tensor = _LocalResponseNorm.apply(x, size, alpha, beta, k)  # type: ignore[no-untyped-call]
    return result
