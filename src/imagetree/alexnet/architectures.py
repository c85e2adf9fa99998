"""The networks called AlexNet, each a tuple of layers as data. No torch here.

From one such tuple come the module (`network`), the layer table (`counts`) and the drawing.

`single_gpu` is the "single GPU equivalent" of the lecture: one tower, 227 x 227 input, and in the
first two blocks convolution, ReLU, max pooling, then normalisation. Krizhevsky, Sutskever and
Hinton, "ImageNet classification with deep convolutional neural networks" (2012), sections 3-4,
give the layers' sizes and the constants of local response normalisation.
`batch_norm` replaces that normalisation by batch normalisation (Ioffe and Szegedy 2015) after
every convolution and hidden fully connected layer, as is done today.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from imagetree.errors import TrainingError


@dataclass(frozen=True)
class Conv:
    """Convolution: `depth` filters of `kernel` x `kernel`; sizes in pixels of its input."""

    name: str
    depth: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    bias: bool = True


@dataclass(frozen=True)
class FullyConnected:
    """Fully connected layer; `units` None means one for each class."""

    name: str
    units: int | None
    bias: bool = True


@dataclass(frozen=True)
class Relu:
    """Rectified linear unit, max(x, 0)."""

    name: str


@dataclass(frozen=True)
class MaxPool:
    """Max pooling; a stride below the kernel makes it overlap (paper, section 3.4)."""

    name: str
    kernel: int = 3
    stride: int = 2


@dataclass(frozen=True)
class LocalResponseNorm:
    """x / (k + alpha * sum of squares over `size` neighbouring maps) ** beta.

    The sum is not divided by `size`: the paper's convention (section 3.3), with its constants.
    """

    name: str
    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalisation with a learned scale and shift for each map or unit."""

    name: str


@dataclass(frozen=True)
class Dropout:
    """Sets each value to zero with probability `rate` while training (paper, section 4.2)."""

    name: str
    rate: float = 0.5


Layer = Conv | FullyConnected | Relu | MaxPool | LocalResponseNorm | BatchNorm | Dropout


@dataclass(frozen=True)
class Architecture:
    """A network as data.

    Args:
        name: the name it is called by everywhere.
        description: one line that tells it from the others of its family.
        input_size: height and width of its own input in pixels; 3 channels.
        layers: in the order of the forward pass.
    """

    name: str
    description: str
    input_size: int
    layers: tuple[Layer, ...]


def _block(conv: Conv, *, pool: bool, normalise: bool) -> tuple[Layer, ...]:
    """Convolution, ReLU, then (first two blocks and the fifth) pooling, then normalisation."""
    number = conv.name[-1]
    layers: list[Layer] = [conv, Relu(f"relu{number}")]
    if pool:
        layers.append(MaxPool(f"pool{number}"))
    if normalise:
        layers.append(LocalResponseNorm(f"norm{number}"))
    return tuple(layers)


def _single_gpu() -> tuple[Layer, ...]:
    return (
        *_block(Conv("conv1", 96, 11, stride=4), pool=True, normalise=True),
        *_block(Conv("conv2", 256, 5, padding=2), pool=True, normalise=True),
        *_block(Conv("conv3", 384, 3, padding=1), pool=False, normalise=False),
        *_block(Conv("conv4", 384, 3, padding=1), pool=False, normalise=False),
        *_block(Conv("conv5", 256, 3, padding=1), pool=True, normalise=False),
        Dropout("drop6"),
        FullyConnected("fc6", 4096),
        Relu("relu6"),
        Dropout("drop7"),
        FullyConnected("fc7", 4096),
        Relu("relu7"),
        FullyConnected("fc8", None),
    )


def _with_batch_norm(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """Batch normalisation before each ReLU in the place of LRN; it makes the bias superfluous."""
    changed: list[Layer] = []
    for layer in layers:
        if isinstance(layer, LocalResponseNorm):
            continue
        if isinstance(layer, Conv):
            layer = Conv(
                layer.name, layer.depth, layer.kernel, layer.stride, layer.padding, bias=False
            )
        elif isinstance(layer, FullyConnected) and layer.units is not None:
            layer = FullyConnected(layer.name, layer.units, bias=False)
        if isinstance(layer, Relu):
            changed.append(BatchNorm(f"norm{layer.name[-1]}"))
        changed.append(layer)
    return tuple(changed)


ARCHITECTURES = {
    architecture.name: architecture
    for architecture in (
        Architecture(
            "single_gpu", "one tower with local response normalisation", 227, _single_gpu()
        ),
        Architecture(
            "batch_norm",
            "single_gpu with batch normalisation in the place of local response normalisation",
            227,
            _with_batch_norm(_single_gpu()),
        ),
    )
}


def architecture_named(name: str) -> Architecture:
    """The architecture of that name.

    Raises:
        TrainingError: there is none; the message lists those there are.

    >>> architecture_named("single_gpu").input_size
    227
    """
    try:
        return ARCHITECTURES[name]
    except KeyError:
        known = ", ".join(ARCHITECTURES)
        raise TrainingError(
            f"no architecture is called {name!r} (expected one of {known})"
        ) from None


def with_dropout(architecture: Architecture, rate: float) -> Architecture:
    """The same network with another rate of dropout.

    >>> layers = with_dropout(architecture_named("batch_norm"), 0.2).layers
    >>> [layer.rate for layer in layers if isinstance(layer, Dropout)]
    [0.2, 0.2]
    """
    layers = tuple(
        replace(layer, rate=rate) if isinstance(layer, Dropout) else layer
        for layer in architecture.layers
    )
    return replace(architecture, layers=layers)
