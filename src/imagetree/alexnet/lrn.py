"""Local response normalisation with a backward pass of its own, in four conventions.

The sum over neighbouring maps is a convolution, which takes alpha and k in as well: 1 x 1 with a
banded matrix, or, for many maps that lie side by side in memory, a window along them. That is the
fastest form that needs no compiler, and bf16 and channels-last are the convolutions' own, where
torch's norm (avg_pool3d over a 5-D view) has no bf16 on the CPU and no deterministic gradient on a
GPU.
Source: Krizhevsky et al. 2012, section 3.3.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Any

import torch
from torch.nn import functional

from imagetree.errors import TrainingError


class Convention(StrEnum):
    """What `size` and `alpha` mean; the commonest cause of an AlexNet that is none.

    PAPER: `size` maps in the sum, alpha weighs the sum (cuda-convnet's older layers too).
    PYTORCH: `size` maps, alpha weighs their mean: torch.nn.LocalResponseNorm.
    CAFFE: as PYTORCH, `local_size`; its k is 1 unless it is said.
    TENSORFLOW: `size` is depth_radius, maps on either side: 2 * size + 1 in the sum, which alpha
        weighs: tf.nn.local_response_normalization, whose `bias` is k.
    """

    PAPER = "paper"
    PYTORCH = "pytorch"
    CAFFE = "caffe"
    TENSORFLOW = "tensorflow"

    def for_sum(self, size: int, alpha: float) -> tuple[int, float]:
        """Maps in the sum, and what weighs it.

        >>> Convention.PYTORCH.for_sum(5, 5e-4), Convention.TENSORFLOW.for_sum(2, 1e-4)
        ((5, 0.0001), (5, 0.0001))
        """
        if self is Convention.TENSORFLOW:
            return 2 * size + 1, alpha
        if self is Convention.PAPER:
            return size, alpha
        return size, alpha / size


def local_response_norm(  # noqa: PLR0913 (the constants of the formula)
    x: torch.Tensor,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    *,
    groups: int = 1,
    convention: Convention = Convention.PAPER,
) -> torch.Tensor:
    """Normalise: x / (k + alpha * sum of squares over `size` neighbouring maps) ** beta.

    Args:
        x: (N, C, H, W), any floating dtype and memory format.
        size: maps in the sum, odd; fewer at the first and last maps.
        alpha: weight of the sum.
        beta: exponent.
        k: constant under the exponent.
        groups: towers; neighbours of a map are those of its own tower.
        convention: what `size` and `alpha` mean.

    Returns:
        A tensor like x. Differentiable once.

    Raises:
        TrainingError: size is even or C no multiple of groups; at a second derivative.
    """
    maps, weight = convention.for_sum(size, alpha)
    if maps < 1 or maps % 2 == 0:
        raise TrainingError(f"size is {size} (expected an odd number of maps)")
    if x.shape[1] % groups:
        raise TrainingError(f"{x.shape[1]} maps in {groups} towers (expected as many in each)")
    constants = (maps, groups, weight, beta, k)
    result: torch.Tensor = _LocalResponseNorm.apply(x, constants)  # type: ignore[no-untyped-call]
    return result


_MOST_IN_BAND = 150

_IN_CACHE = 1 << 18
"""Values whose floats are computed at a time: those of all images would go to memory and back."""

_Constants = tuple[int, int, float, float, float]
"""Maps in the sum, towers, alpha, beta, k."""


@lru_cache(maxsize=64)
def _band(
    channels: int, size: int, groups: int, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """Ones where map j is within size // 2 of map i in its tower; (channels, channels, 1, 1)."""
    position = torch.arange(channels, device=device)
    near = (position[:, None] - position[None, :]).abs() <= size // 2
    tower = position // (channels // groups)
    return (near & (tower[:, None] == tower[None, :])).to(dtype)[:, :, None, None]


def _weighed_sum(
    x: torch.Tensor, constants: _Constants, weight: float, offset: float | None = None
) -> torch.Tensor:
    """`offset` + `weight` * the sum over neighbouring maps, rounded once."""
    count, channels, height, width = x.shape
    maps, towers = constants[:2]
    with torch.autocast(x.device.type, enabled=False):  # in the precision of x, whatever surrounds
        if x.is_cuda and x.dtype == torch.float32:
            return _sum_of_shifts(x, constants, weight, offset)
        if not _lies_along_maps(x):
            band = _band(channels, maps, towers, x.dtype, x.device) * weight
            bias = None if offset is None else x.new_full((channels,), offset)
            return functional.conv2d(x, band, bias)
        rows = height * width * towers
        line = x.permute(0, 2, 3, 1).reshape(count, rows, channels // towers)
        kernel = x.new_full((rows, 1, maps), weight)
        bias = None if offset is None else x.new_full((rows,), offset)
        sums = functional.conv1d(line, kernel, bias, padding=maps // 2, groups=rows)
        return sums.reshape(count, height, width, channels).permute(0, 3, 1, 2)


def _sum_of_shifts(
    x: torch.Tensor, constants: _Constants, weight: float, offset: float | None
) -> torch.Tensor:
    """The same by additions: a GPU's convolutions of float32 round to 10 bits (TF32) by default."""
    maps, towers = constants[:2]
    apart = x.reshape(x.shape[0], towers, -1, *x.shape[2:])
    channels, reach = apart.shape[2], maps // 2
    sums = apart.clone()
    for shift in range(1, min(reach, channels - 1) + 1):
        kept = channels - shift
        sums.narrow(2, 0, kept).add_(apart.narrow(2, shift, kept))
        sums.narrow(2, shift, kept).add_(apart.narrow(2, 0, kept))
    sums = sums.reshape(x.shape).mul_(weight)
    return sums if offset is None else sums.add_(offset)


def _lies_along_maps(x: torch.Tensor) -> bool:
    """Whether a window of `size` is slid along the maps faster than the band multiplies them.

    The band's work grows with the square of the maps. In float32 on two cores a window is 0.8 times
    as fast at 96 maps and 2.2 times at 256 (docs/log.md).
    """
    along = x.is_contiguous(memory_format=torch.channels_last)
    return x.device.type == "cpu" and along and x.shape[1] > _MOST_IN_BAND


def _power(d: torch.Tensor, beta: float) -> torch.Tensor:
    """The power d ** -beta; the usual 0.75 without pow(), which is several times slower."""
    if beta == 0.75:
        return d.sqrt().mul_(d).rsqrt_()
    return d.pow(-beta)


def _scaled(x: torch.Tensor, d: torch.Tensor, beta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The power d ** -beta and its product with x, both like x."""
    wide = torch.promote_types(x.dtype, torch.float32)  # bf16 would round five times more
    if x.dtype == wide:
        scale = _power(d, beta)
        return scale, x * scale
    scale, y = torch.empty_like(x), torch.empty_like(x)
    images = _IN_CACHE // max(1, x[:1].numel()) if x.device.type == "cpu" else len(x)
    step = max(1, images)
    for few in (slice(first, first + step) for first in range(0, len(x), step)):
        power = _power(d[few].to(wide), beta)
        scale[few] = power
        y[few] = power.mul_(x[few].to(wide))
    return scale, y


class _LocalResponseNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, constants: _Constants) -> torch.Tensor:
        *_, alpha, beta, k = constants
        d = _weighed_sum(x * x, constants, alpha, k)
        scale, y = _scaled(x, d, beta)
        ctx.save_for_backward(x, d, scale, y)  # y is kept by the next layer anyway
        ctx.constants = constants
        return y

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, None]:
        gradient = _Gradient.apply(ctx.constants, grad, *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        return gradient, None


class _Gradient(torch.autograd.Function):
    """The gradient as a function of its own: differentiating it is refused with a reason."""

    @staticmethod
    def forward(_ctx: Any, constants: _Constants, *tensors: torch.Tensor) -> torch.Tensor:
        grad, x, d, scale, y = tensors
        # dy_j / dx_i = scale_i [i = j] - 2 alpha beta x_i y_j / d_j [j near i]
        *_, alpha, beta, _ = constants
        through = _weighed_sum((grad * y).div_(d), constants, -2 * alpha * beta)
        return through.mul_(x).addcmul_(grad, scale)

    @staticmethod
    def backward(_ctx: Any, _grad: torch.Tensor) -> None:
        raise TrainingError(
            "second derivatives of local response normalisation are not worked out",
            hint="torch.nn.functional.local_response_norm with alpha * size has them",
        )
