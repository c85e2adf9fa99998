"""How much of the image a value of each layer can see: its receptive field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagetree.alexnet.layers import (
    AdaptiveAveragePool,
    Conv,
    FullyConnected,
    MaxPool,
    SameMapNorm,
)

if TYPE_CHECKING:
    from imagetree.alexnet.counts import LayerCount


@dataclass(frozen=True)
class ReceptiveField:
    """The square of the image that one value of a layer depends on.

    Args:
        size: its side in pixels; it may reach over the image's edge.
        stride: pixels between the squares of neighbouring values; None where there are none.
    """

    size: int
    stride: int | None


def receptive_fields(counts: tuple[LayerCount, ...]) -> tuple[ReceptiveField, ...]:
    """The receptive field of each layer, in the order of `count_layers`.

    A window of `kernel` values, `stride` apart, sees size + (kernel - 1) * stride of the image.
    A fully connected layer sees all that its input sees together.

    Source: Araujo et al., "Computing receptive fields of convolutional neural networks" (2019),
    equation 2, whose AlexNet ends at 195 pixels.

    >>> from imagetree.alexnet.architectures import architecture_named
    >>> from imagetree.alexnet.counts import count_layers
    >>> fields = receptive_fields(count_layers(architecture_named("single_gpu")))
    >>> fields[0].size, fields[2].size, fields[14].size
    (11, 19, 195)
    """
    fields = []
    size, stride, whole = 1, 1, 1
    for count in counts:
        layer, side = count.layer, max(count.input_shape[1:], default=1)
        if isinstance(layer, FullyConnected):
            size, stride = whole, 0
        elif isinstance(layer, AdaptiveAveragePool):
            size += (_widest_bin(side, layer.size) - 1) * stride
            stride = stride if side == layer.size else 0  # its bins are not evenly apart
        elif isinstance(layer, Conv | MaxPool):
            size, stride = size + (layer.kernel - 1) * stride, stride * layer.stride
            whole = size + (count.output_shape[1] - 1) * stride
        elif isinstance(layer, SameMapNorm):
            size += (layer.size - 1) * stride
            whole = size + (side - 1) * stride
        fields.append(ReceptiveField(size, stride or None))
    return tuple(fields)


def _widest_bin(side: int, bins: int) -> int:
    """The longest of the stretches floor(i * side / bins) to ceil((i + 1) * side / bins)."""
    return max(-(-(i + 1) * side // bins) - i * side // bins for i in range(bins))
