"""The layers that torch has not, or not as their sources have them, as modules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from imagetree.alexnet.counts import hanging_over
from imagetree.alexnet.lrn import local_response_norm

if TYPE_CHECKING:
    from imagetree.alexnet.layers import (
        Conv,
        Dropout,
        LocalResponseNorm,
        MaxPool,
        SameMapNorm,
    )


class OverhangingConv(nn.Conv2d):
    """A convolution whose last window may hang over the right and bottom edge, onto zeros.

    Args:
        layer: with its `overhang`.
        channels: of the input.
    """

    def __init__(self, layer: Conv, channels: int) -> None:
        super().__init__(
            channels,
            layer.depth,
            layer.kernel,
            layer.stride,
            layer.padding,
            groups=layer.groups,
            bias=layer.bias,
        )
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps of (N, C, H, W), H and W of any size that the window fits."""
        bottom, right = (hanging_over(self.layer, side) for side in x.shape[2:])
        if bottom or right:
            x = functional.pad(x, (0, right, 0, bottom))
        return super().forward(x)


class Normalise(nn.Module):
    """Local response normalisation as a module, without learned parameters."""

    def __init__(self, layer: LocalResponseNorm) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised maps: (N, C, H, W) -> (N, C, H, W), each tower among its own maps."""
        own = self.layer
        return local_response_norm(x, own.size, own.alpha, own.beta, own.k, groups=own.groups)


class NormaliseSameMap(nn.Module):
    """cuda-convnet's response normalisation within a map, without learned parameters."""

    def __init__(self, layer: SameMapNorm) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised maps: (N, C, H, W) -> (N, C, H, W)."""
        layer = self.layer
        squares = functional.avg_pool2d(
            x.square(), layer.size, 1, layer.size // 2, divisor_override=1
        )
        return x * (layer.k + layer.alpha * squares).pow(-layer.beta)


class LastPool(nn.Module):
    """Max pooling in front of fc6, which takes one grid only.

    At the input size that the network was built for it is the plain pooling of the table. A map
    of another size, from smaller images early in training or larger ones at the test, is pooled
    to the same grid, so that one network serves them all.
    """

    def __init__(self, layer: MaxPool, input_side: int, output_side: int) -> None:
        super().__init__()
        self.layer = layer
        self.input_side = input_side
        self.output_side = output_side

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pooled maps: (N, C, h, w) -> (N, C, H, W) for any h and w."""
        layer = self.layer
        if x.shape[2] == x.shape[3] == self.input_side:
            return functional.max_pool2d(x, layer.kernel, layer.stride, ceil_mode=layer.overhang)
        if x.is_cuda and torch.are_deterministic_algorithms_enabled():
            return maxima_of_bins(x, self.output_side)  # torch's own would raise there
        return functional.adaptive_max_pool2d(x, self.output_side)


def maxima_of_bins(x: torch.Tensor, size: int) -> torch.Tensor:
    """Adaptive max pooling by rows and columns, whose gradient is repeatable on a GPU too.

    Equal values of a bin share its gradient; torch's own gives it to the first.

    Args:
        x: (N, C, h, w).
        size: side of the grid.

    Returns:
        (N, C, size, size).
    """
    for axis in (2, 3):
        bins = _bins(x.shape[axis], size)
        x = torch.stack([x[(slice(None),) * axis + (each,)].amax(axis) for each in bins], axis)
    return x


class AverageToGrid(nn.Module):
    """Adaptive average pooling as two products of matrices.

    Torch's own has no deterministic gradient on a GPU and raises in torch's deterministic mode.
    A map that has the grid's size already, as at 224 pixels, is given on as it is.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Averages of bins: (N, C, h, w) -> (N, C, size, size) for any h and w."""
        if x.shape[2] == x.shape[3] == self.size:
            return x
        rows, columns = (_averages(side, self.size).to(x) for side in x.shape[2:])
        return rows @ x @ columns.T


def _averages(side: int, bins: int) -> torch.Tensor:
    """(bins, side): row i averages the i-th bin."""
    matrix = torch.zeros(bins, side, dtype=torch.float64)
    for i, own in enumerate(_bins(side, bins)):
        matrix[i, own] = 1 / (own.stop - own.start)
    return matrix


def _bins(side: int, count: int) -> list[slice]:
    """Torch's adaptive bins: from floor(i * side / count) up to ceil((i + 1) * side / count)."""
    return [slice(i * side // count, -(-(i + 1) * side // count)) for i in range(count)]


class DropValues(nn.Module):
    """Dropout; where several processes share a batch, each drops what one alone would have.

    Args:
        layer: rate, and where the values are scaled: while training, or at the test as in 2012.
    """

    def __init__(self, layer: Dropout) -> None:
        super().__init__()
        self.layer = layer
        self.shard = (0, 1)
        """This process's rank, and the number of processes; it has every n-th row of the batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Values of (N, F), some of them zero while training."""
        rate, is_of_2012 = self.layer.rate, self.layer.scaled == "test"
        if not self.training:
            return x * (1 - rate) if is_of_2012 else x
        rank, size = self.shard
        kept = _draw_mask((size * x.shape[0], *x.shape[1:]), rate, x.device)[rank::size]
        return x * kept if is_of_2012 else x * (kept / (1 - rate)).to(x.dtype)


def _draw_mask(shape: tuple[int, ...], rate: float, device: torch.device) -> torch.Tensor:
    """Which values are kept; of torch's seed, on the CPU by a generator six times as fast."""
    if device.type != "cpu":
        return torch.rand(shape, device=device) >= rate
    seed = int(torch.randint(1 << 62, ()))
    drawn = np.random.Generator(np.random.SFC64(seed)).bytes(2 * math.prod(shape))
    kept = np.frombuffer(drawn, np.uint16).reshape(shape) >= round(rate * (1 << 16))
    return torch.from_numpy(kept)
