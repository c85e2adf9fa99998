"""What each layer of an architecture counts: output shape, weights, biases, multiplications.

No torch here: the figures come from the layers as data, with the formula that gives each.
"""

from __future__ import annotations

from dataclasses import dataclass

from imagetree.alexnet.architectures import (
    Architecture,
    BatchNorm,
    Conv,
    FullyConnected,
    Layer,
    LocalResponseNorm,
    MaxPool,
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


def output_size(size: int, kernel: int, stride: int, padding: int = 0) -> int:
    """Positions of a window along one side: (size - kernel + 2 padding) // stride + 1.

    The lecture's 55 is (227 - 11) / 4 + 1; with 224 the window would not fit a whole number of
    times, (224 - 11) / 4 + 1 = 54.25.

    Raises:
        TrainingError: the window is larger than the padded side.

    >>> output_size(227, kernel=11, stride=4)
    55
    """
    if size + 2 * padding < kernel:
        raise TrainingError(
            f"a window of {kernel} does not fit a map of {size} with padding {padding}",
            hint="use a larger input size",
        )
    return (size - kernel + 2 * padding) // stride + 1


def count_layers(
    architecture: Architecture, num_classes: int = 1000, input_size: int | None = None
) -> tuple[LayerCount, ...]:
    """Every layer of the architecture with its shapes and counts, in forward order.

    Args:
        architecture: the network as data.
        num_classes: units of the last layer.
        input_size: side of the square input in pixels; the architecture's own if None.

    Raises:
        TrainingError: the input is too small for the layers.

    >>> from imagetree.alexnet.architectures import architecture_named
    >>> counts = count_layers(architecture_named("single_gpu"))
    >>> counts[0].output_shape, counts[0].weights + counts[0].biases
    ((96, 55, 55), 34944)
    """
    side = architecture.input_size if input_size is None else input_size
    shape: tuple[int, ...] = (3, side, side)
    counts = []
    for layer in architecture.layers:
        count = _count(layer, shape, num_classes)
        counts.append(count)
        shape = count.output_shape
    return tuple(counts)


def _count(layer: Layer, shape: tuple[int, ...], num_classes: int) -> LayerCount:
    if isinstance(layer, Conv):
        return _count_conv(layer, shape)
    if isinstance(layer, FullyConnected):
        units = num_classes if layer.units is None else layer.units
        weights = _product(shape) * units
        biases = units if layer.bias else 0
        return LayerCount(layer, shape, (units,), weights, biases, weights)
    if isinstance(layer, MaxPool):
        sides = tuple(output_size(side, layer.kernel, layer.stride) for side in shape[1:])
        return LayerCount(layer, shape, (shape[0], *sides), 0, 0, 0)
    if isinstance(layer, BatchNorm):
        return LayerCount(layer, shape, shape, shape[0], shape[0], _product(shape))
    if isinstance(layer, LocalResponseNorm):
        return LayerCount(layer, shape, shape, 0, 0, _product(shape) * layer.size)
    return LayerCount(layer, shape, shape, 0, 0, 0)


def _count_conv(layer: Conv, shape: tuple[int, ...]) -> LayerCount:
    channels, *sides = shape
    positions = [output_size(side, layer.kernel, layer.stride, layer.padding) for side in sides]
    weights = layer.kernel**2 * (channels // layer.groups) * layer.depth
    biases = layer.depth if layer.bias else 0
    macs = weights * _product(tuple(positions))
    return LayerCount(layer, shape, (layer.depth, *positions), weights, biases, macs)


def _product(values: tuple[int, ...]) -> int:
    result = 1
    for value in values:
        result *= value
    return result


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
        parameters: everything that is learned.
        macs: multiplications of convolutions and fully connected layers for one image.
    """

    conv_parameters: int
    fc_weights: int
    fc_biases: int
    norm_parameters: int
    lecture: int
    parameters: int
    macs: int


def total(counts: tuple[LayerCount, ...]) -> Totals:
    """Sum up `count_layers` by each rule.

    >>> from imagetree.alexnet.architectures import architecture_named
    >>> totals = total(count_layers(architecture_named("single_gpu")))
    >>> totals.lecture, totals.parameters
    (62369152, 62378344)
    """
    conv = [count for count in counts if isinstance(count.layer, Conv)]
    fully_connected = [count for count in counts if isinstance(count.layer, FullyConnected)]
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
        parameters=sum(count.weights + count.biases for count in counts),
        macs=sum(count.macs for count in (*conv, *fully_connected)),
    )
