"""An architecture as a PyTorch module. What a layer is stands in `architectures`."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional

from imagetree.alexnet.architectures import (
    Architecture,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    LocalResponseNorm,
    MaxPool,
    Relu,
)
from imagetree.alexnet.counts import LayerCount, count_layers
from imagetree.alexnet.lrn import local_response_norm


class Normalise(nn.Module):
    """Local response normalisation as a module, without learned parameters."""

    def __init__(self, layer: LocalResponseNorm) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalised maps: (N, C, H, W) -> (N, C, H, W)."""
        layer = self.layer
        return local_response_norm(x, layer.size, layer.alpha, layer.beta, layer.k)


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
        if x.shape[2] == x.shape[3] == self.input_side:
            return functional.max_pool2d(x, self.layer.kernel, self.layer.stride)
        return functional.adaptive_max_pool2d(x, self.output_side)


class AlexNet(nn.Module):
    """One of the architectures as a module: images in, logits out.

    The children carry the layers' names (`conv1`, `norm1`, ..., `fc8`) and so do the tensors of
    the state dict (`conv1.weight`).

    Args:
        architecture: the network as data.
        num_classes: units of the last layer.
        input_size: side in pixels for which fc6 is made; the architecture's own if None.
        seed: of the initial weights; the same seed gives the same network.

    Raises:
        TrainingError: the input is too small for the layers.
    """

    def __init__(
        self,
        architecture: Architecture,
        num_classes: int = 1000,
        input_size: int | None = None,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.architecture = architecture
        self.num_classes = num_classes
        self.input_size = architecture.input_size if input_size is None else input_size
        counts = count_layers(architecture, num_classes, self.input_size)
        last_pool = [count.layer for count in counts if isinstance(count.layer, MaxPool)][-1]
        for count in counts:
            self.add_module(count.layer.name, _module(count, is_last=count.layer is last_pool))
        self._initialise(seed)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch: (N, 3, H, W) floats, normalised -> (N, num_classes)."""
        for layer in self.architecture.layers:
            module = cast("nn.Module", self._modules[layer.name])
            if isinstance(layer, FullyConnected) and x.ndim > 2:
                x = x.flatten(1)  # (N, C * H * W), in the order of the table: C, then H, then W
            x = module(x)
        return x

    def _initialise(self, seed: int) -> None:
        """He's Gaussians, zero biases; a small last layer, so that the first loss is log K.

        The lecture leaves the initial weights open. The paper's Gaussians of 0.01 with biases of
        one need the full ImageNet to leave the flat loss; He et al. 2015, section 2.2, do not.
        In front of batch normalisation the scale of a layer means nothing to its output, and small
        weights turn faster: there conv1 has the paper's 0.01, so that its filters show what was
        learnt and not the noise that they began as.
        """
        generator = torch.Generator().manual_seed(seed)
        layers = [m for m in self.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        for module in layers:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        nn.init.normal_(layers[-1].weight, std=0.001, generator=generator)
        if any(isinstance(layer, BatchNorm) for layer in self.architecture.layers):
            nn.init.normal_(layers[0].weight, std=0.01, generator=generator)


def _module(count: LayerCount, *, is_last: bool) -> nn.Module:
    """The PyTorch module of one layer."""
    layer, shape = count.layer, count.input_shape
    match layer:
        case Conv():
            return nn.Conv2d(
                shape[0],
                layer.depth,
                layer.kernel,
                layer.stride,
                layer.padding,
                groups=layer.groups,
                bias=layer.bias,
            )
        case FullyConnected():
            features = count.weights // count.output_shape[0]
            return nn.Linear(features, count.output_shape[0], bias=layer.bias)
        case Relu():
            return nn.ReLU(inplace=True)
        case MaxPool():
            if is_last:
                return LastPool(layer, shape[1], count.output_shape[1])
            return nn.MaxPool2d(layer.kernel, layer.stride)
        case LocalResponseNorm():
            return Normalise(layer)
        case BatchNorm():
            return nn.BatchNorm2d(shape[0]) if len(shape) == 3 else nn.BatchNorm1d(shape[0])
        case Dropout():
            return nn.Dropout(layer.rate)
