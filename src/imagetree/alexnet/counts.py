"""What each layer of an architecture counts: output shape, weights, biases, multiplications.

No torch here: the figures come from the layers as data, with the formula that gives each.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from imagetree.alexnet.layers import (
    AdaptiveAveragePool,
    Architecture,
    BatchNorm,
    Conv,
    Dropout,
    FullyConnected,
    Layer,
    LocalResponseNorm,
    MaxPool,
    SameMapNorm,
)
from imagetree.errors import TrainingError


@dataclass(frozen=True)
class LayerCount:
    """One layer and what it counts.

    Args:
        layer: the layer.
        input_shape: (channels, height, width), or (units,) behind the first fully connected layer.
        output_shape: likewise.
        weights: learned weights, biases left out.
        biases: learned biases; for batch normalisation its shift.
        macs: multiplications with their additions, for one image.
    """

    layer: Layer
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weights: int
    biases: int
    macs: int

    @property
    def activations(self) -> int:
        """Values that the layer gives on for one image."""
        return prod(self.output_shape)

    def bytes_moved(self, batch: int = 1, *, value: int = 4) -> int:
        """Bytes that a forward pass must read and write at least: input, weights, output, once.

        What is reused from a cache is not counted again, so this is the least that a device can
        move; the multiplications over it are the layer's intensity.

        Args:
            batch: images in the pass; the weights are read once for all of them.
            value: bytes of one value; 4 for float32, 2 for bfloat16.

        >>> from imagetree.alexnet.architectures import architecture_named
        >>> count_layers(architecture_named("single_gpu"))[0].bytes_moved()
        1919724
        """
        if isinstance(self.layer, Dropout) and self.layer.scaled == "training":
            return 0  # nothing is done at the test
        moved = batch * (prod(self.input_shape) + self.activations)
        return value * (moved + self.weights + self.biases)


def output_size(
    size: int, kernel: int, stride: int, padding: int = 0, *, overhang: bool = False
) -> int:
    """Positions of a window along one side: (size - kernel + 2 padding) / stride + 1.

    The division is rounded down, or up where the last window may hang over the edge. The
    lecture's 55 is (227 - 11) / 4 + 1; with 224 the window would not fit a whole number of
    times, (224 - 11) / 4 + 1 = 54.25, and the code of 2012 takes 55, the paper's maps.

    Raises:
        TrainingError: the window is larger than the padded side.

    >>> output_size(227, kernel=11, stride=4), output_size(224, kernel=11, stride=4)
    (55, 54)
    >>> output_size(224, kernel=11, stride=4, overhang=True)
    55
    """
    room = size + 2 * padding - kernel
    if room < 0:
        raise TrainingError(
            f"a window of {kernel} does not fit a map of {size} with padding {padding}",
            hint="use a larger input size",
        )
    return (-(-room // stride) if overhang else room // stride) + 1


def hanging_over(layer: Conv | MaxPool, size: int) -> int:
    """Pixels by which the last window hangs over the right and bottom edge of a map.

    >>> hanging_over(Conv("conv1", 96, 11, stride=4, overhang=True), 224)
    3
    """
    padding = layer.padding if isinstance(layer, Conv) else 0
    last = output_size(size, layer.kernel, layer.stride, padding, overhang=layer.overhang) - 1
    return max(0, last * layer.stride + layer.kernel - size - 2 * padding)


def count_layers(
    architecture: Architecture, num_classes: int = 1000, input_size: int | None = None
) -> tuple[LayerCount, ...]:
    """Every layer of the architecture with its shapes and counts, in forward order.

    Args:
        architecture: the network as data.
        num_classes: units of the last layer.
        input_size: side of the square input in pixels; the architecture's own if None.

    Raises:
        TrainingError: the input is too small for the layers, or there is no class.

    >>> from imagetree.alexnet.architectures import architecture_named
    >>> counts = count_layers(architecture_named("single_gpu"))
    >>> counts[0].output_shape, counts[0].weights + counts[0].biases
    ((96, 55, 55), 34944)
    """
    if num_classes < 1:
        raise TrainingError(f"number of classes is {num_classes} (expected at least 1)")
    side = architecture.input_size if input_size is None else input_size
    shape: tuple[int, ...] = (3, side, side)
    counts = []
    for layer in architecture.layers:
        count = _count(layer, shape, num_classes)
        counts.append(count)
        shape = count.output_shape
    return tuple(counts)


def _count(layer: Layer, shape: tuple[int, ...], num_classes: int) -> LayerCount:
    match layer:
        case Conv():
            return _count_conv(layer, shape)
        case FullyConnected():
            units = num_classes if layer.units is None else layer.units
            weights = prod(shape) * units
            return LayerCount(layer, shape, (units,), weights, units if layer.bias else 0, weights)
        case MaxPool():
            sides = tuple(
                output_size(side, layer.kernel, layer.stride, overhang=layer.overhang)
                for side in shape[1:]
            )
            return LayerCount(layer, shape, (shape[0], *sides), 0, 0, 0)
        case AdaptiveAveragePool():
            return LayerCount(layer, shape, (shape[0], layer.size, layer.size), 0, 0, 0)
        case BatchNorm():
            return LayerCount(layer, shape, shape, shape[0], shape[0], prod(shape))
        case LocalResponseNorm():
            return LayerCount(layer, shape, shape, 0, 0, prod(shape) * layer.size)
        case SameMapNorm():
            return LayerCount(layer, shape, shape, 0, 0, prod(shape) * layer.size**2)
        case _:
            return LayerCount(layer, shape, shape, 0, 0, 0)


def _count_conv(layer: Conv, shape: tuple[int, ...]) -> LayerCount:
    channels, *sides = shape
    positions = [
        output_size(side, layer.kernel, layer.stride, layer.padding, overhang=layer.overhang)
        for side in sides
    ]
    weights = layer.kernel**2 * (channels // layer.groups) * layer.depth
    biases = layer.depth if layer.bias else 0
    macs = weights * prod(positions)
    return LayerCount(layer, shape, (layer.depth, *positions), weights, biases, macs)


@dataclass(frozen=True)
class Totals:
    """Sums over an architecture, each by a rule that somebody publishes.

    Args:
        conv_parameters: weights and biases of the convolutions (the lecture's "Conv: 3.7 million").
        fc_weights: weights of the fully connected layers, biases left out.
        fc_biases: biases of the fully connected layers.
        norm_parameters: scales and shifts of batch normalisation.
        lecture: conv_parameters + fc_weights: the lecture's "Overall" leaves out the biases of
            the fully connected layers.
        weights: weights of convolutions and fully connected layers, no bias at all.
        parameters: everything that is learned.
        macs: multiplications of convolutions and fully connected layers for one image.
        neurons: outputs of convolutions and fully connected layers, the paper's neurons.
        bytes_moved: least bytes of a forward pass of one image in float32.
    """

    conv_parameters: int
    fc_weights: int
    fc_biases: int
    norm_parameters: int
    lecture: int
    weights: int
    parameters: int
    macs: int
    neurons: int
    bytes_moved: int


def total(counts: tuple[LayerCount, ...]) -> Totals:
    """Sum up `count_layers` by each rule.

    >>> from imagetree.alexnet.architectures import architecture_named
    >>> totals = total(count_layers(architecture_named("single_gpu")))
    >>> totals.lecture, totals.parameters
    (62369152, 62378344)
    """
    conv = [count for count in counts if isinstance(count.layer, Conv)]
    fully_connected = [count for count in counts if isinstance(count.layer, FullyConnected)]
    learning = (*conv, *fully_connected)
    conv_parameters = sum(count.weights + count.biases for count in conv)
    fc_weights = sum(count.weights for count in fully_connected)
    return Totals(
        conv_parameters=conv_parameters,
        fc_weights=fc_weights,
        fc_biases=sum(count.biases for count in fully_connected),
        norm_parameters=sum(
            count.weights + count.biases for count in counts if isinstance(count.layer, BatchNorm)
        ),
        lecture=conv_parameters + fc_weights,
        weights=sum(count.weights for count in learning),
        parameters=sum(count.weights + count.biases for count in counts),
        macs=sum(count.macs for count in learning),
        neurons=sum(count.activations for count in learning),
        bytes_moved=sum(count.bytes_moved() for count in counts),
    )
