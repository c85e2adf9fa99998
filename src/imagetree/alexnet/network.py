"""An architecture as a PyTorch module. What a layer is stands in `layers`."""

from __future__ import annotations

import math
from contextlib import nullcontext
from typing import cast

import torch
from torch import nn

from imagetree.alexnet.counts import LayerCount, count_layers
from imagetree.alexnet.layers import (
    AdaptiveAveragePool,
    Architecture,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    Init,
    LocalResponseNorm,
    MaxPool,
    Relu,
    SameMapNorm,
    Tanh,
)
from imagetree.alexnet.modules import (
    AverageToGrid,
    DropValues,
    LastPool,
    Normalise,
    NormaliseSameMap,
    OverhangingConv,
)


class AlexNet(nn.Module):
    """One of the architectures as a module: images in, logits out.

    The children carry the layers' names (`conv1`, `norm1`, ..., `fc8`) and so do the tensors of
    the state dict (`conv1.weight`).

    Args:
        architecture: the network as data.
        num_classes: units of the last layer.
        input_size: side in pixels for which fc6 is made; the architecture's own if None.
        seed: of the initial weights; the same seed gives the same network. None sets none: a state
            dict must follow.

    Raises:
        TrainingError: the input is too small for the layers.
    """

    def __init__(
        self,
        architecture: Architecture,
        num_classes: int = 1000,
        input_size: int | None = None,
        *,
        seed: int | None = 0,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.num_classes = num_classes
        self.input_size = architecture.input_size if input_size is None else input_size
        counts = count_layers(architecture, num_classes, self.input_size)
        grid = _layer_that_makes_the_grid(architecture)
        # on the device meta torch draws no first weights, which takes longer than reading some
        with torch.device("meta") if seed is None else nullcontext():
            for count in counts:
                self.add_module(count.layer.name, _module(count, makes_grid=count.layer is grid))
        if seed is None:
            self.to_empty(device="cpu")
        else:
            self._initialise(seed)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch: (N, 3, H, W) floats, normalised -> (N, num_classes)."""
        for layer in self.architecture.layers:
            module = cast("nn.Module", self._modules[layer.name])
            if isinstance(layer, FullyConnected) and x.ndim > 2:
                x = x.flatten(1)  # (N, C * H * W), in the order of the table: C, then H, then W
            x = module(x)
        return x

    def set_shard(self, rank: int, size: int) -> None:
        """Say that each batch is this process's share: every `size`-th image from `rank` on."""
        for module in self.modules():
            if isinstance(module, DropValues):
                module.shard = (rank, size)

    @torch.no_grad()
    def _initialise(self, seed: int) -> None:
        """Draw every layer's weights as its `Init` says.

        Where a layer begins with He's Gaussians every layer draws these first, and those that
        begin otherwise draw again, the last first: in this order checkpoints and logs of earlier
        runs have their seeds.
        """
        generator = torch.Generator().manual_seed(seed)
        learning = [
            (cast("nn.Conv2d | nn.Linear", self._modules[layer.name]), layer.init)
            for layer in self.architecture.layers
            if isinstance(layer, Conv | FullyConnected)
        ]
        if any(init.kind == "he" for _, init in learning):
            for module, _ in learning:
                _draw(module, Init("he"), generator)
        for module, init in reversed(learning):
            if init.kind != "he":
                _draw(module, init, generator)


def _draw(module: nn.Conv2d | nn.Linear, init: Init, generator: torch.Generator) -> None:
    """New weights and biases of one layer."""
    fan_in = module.weight[0].numel()
    if init.kind == "uniform":
        bound = 1 / math.sqrt(fan_in)
        module.weight.uniform_(-bound, bound, generator=generator)
        if module.bias is not None:
            module.bias.uniform_(-bound, bound, generator=generator)
        return
    std = math.sqrt(2.0) / math.sqrt(fan_in) if init.std is None else init.std
    module.weight.normal_(0, std, generator=generator)
    if module.bias is not None:
        module.bias.fill_(init.bias)


def _layer_that_makes_the_grid(architecture: Architecture) -> MaxPool | AdaptiveAveragePool:
    """The last pooling: in front of fc6 it gives one grid, whatever the image's size."""
    pools = [
        layer for layer in architecture.layers if isinstance(layer, MaxPool | AdaptiveAveragePool)
    ]
    return pools[-1]


def _module(count: LayerCount, *, makes_grid: bool) -> nn.Module:
    """The PyTorch module of one layer."""
    layer, shape = count.layer, count.input_shape
    match layer:
        case Conv():
            return _convolution(layer, shape[0])
        case FullyConnected():
            features = count.weights // count.output_shape[0]
            return nn.Linear(features, count.output_shape[0], bias=layer.bias)
        case Relu():
            return nn.ReLU(inplace=True)
        case Tanh():
            return nn.Tanh()
        case MaxPool() | AdaptiveAveragePool():
            return _pooling(layer, count, makes_grid=makes_grid)
        case LocalResponseNorm() | SameMapNorm() | BatchNorm():
            return _norm(layer, shape)
        case Dropout():
            return DropValues(layer)


def _convolution(layer: Conv, channels: int) -> nn.Module:
    if layer.overhang:
        return OverhangingConv(layer, channels)
    return nn.Conv2d(
        channels,
        layer.depth,
        layer.kernel,
        layer.stride,
        layer.padding,
        groups=layer.groups,
        bias=layer.bias,
    )


def _pooling(
    layer: MaxPool | AdaptiveAveragePool, count: LayerCount, *, makes_grid: bool
) -> nn.Module:
    if isinstance(layer, AdaptiveAveragePool):
        return AverageToGrid(layer.size)
    if makes_grid:
        return LastPool(layer, count.input_shape[1], count.output_shape[1])
    return nn.MaxPool2d(layer.kernel, layer.stride, ceil_mode=layer.overhang)


def _norm(layer: LocalResponseNorm | SameMapNorm | BatchNorm, shape: tuple[int, ...]) -> nn.Module:
    if isinstance(layer, LocalResponseNorm):
        return Normalise(layer)
    if isinstance(layer, SameMapNorm):
        return NormaliseSameMap(layer)
    return nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0])
