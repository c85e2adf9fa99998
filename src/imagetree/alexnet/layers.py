"""The kinds of layers that the networks are made of, as data. No torch here.

A layer holds everything that its source says about it: sizes, constants, and how its weights
begin. `architectures` puts them together, `counts` counts them, `network` runs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Init:
    """How the weights and biases of a layer begin.

    Args:
        kind: `gaussian`: mean 0 and standard deviation `std`. `he`: Gaussians of mean 0 and
            variance 2 / fan-in (He et al. 2015, section 2.2). `uniform`: torch's default, weights
            and biases even between -b and b with b = 1 / sqrt(fan-in).
        std: standard deviation of `gaussian`; None for the others, whose fan-in gives it.
        bias: every bias of the layer; nothing to `uniform`, which draws them.
    """

    kind: Literal["gaussian", "he", "uniform"] = "he"
    std: float | None = None
    bias: float = 0.0

    def __str__(self) -> str:
        if self.kind == "uniform":
            return "uniform, torch's default"
        weights = "He's Gaussians" if self.kind == "he" else f"Gaussians of {self.std:g}"
        return f"{weights}, bias {self.bias:g}"


@dataclass(frozen=True)
class Conv:
    """Convolution: `depth` filters of `kernel` x `kernel`; sizes in pixels of its input.

    Args:
        name: of the layer, and of its tensors.
        depth: number of filters.
        kernel: side of a filter.
        stride: step of the window.
        padding: rows and columns of zeros on each of the four sides.
        groups: towers that do not see each other's maps: each filter sees 1 / groups of them.
        bias: whether each filter has one.
        overhang: whether a last window that only begins inside counts too, as in cuda-convnet:
            it hangs over the right and the bottom edge, and finds zeros there.
        init: how weights and biases begin.
    """

    name: str
    depth: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    bias: bool = True
    overhang: bool = False
    init: Init = Init()


@dataclass(frozen=True)
class FullyConnected:
    """Fully connected layer; `units` None means one for each class."""

    name: str
    units: int | None
    bias: bool = True
    init: Init = Init()


@dataclass(frozen=True)
class Relu:
    """Rectified linear unit, max(x, 0)."""

    name: str


@dataclass(frozen=True)
class Tanh:
    """Hyperbolic tangent, the saturating unit that the paper holds ReLU against (section 3.1)."""

    name: str


@dataclass(frozen=True)
class MaxPool:
    """Max pooling; a stride below the kernel makes it overlap (paper, section 3.4).

    With `overhang` a last window that only begins inside counts too, and takes the greatest of
    what it covers: cuda-convnet and Caffe count so, torch and the paper's formula do not.
    """

    name: str
    kernel: int = 3
    stride: int = 2
    overhang: bool = False


@dataclass(frozen=True)
class AdaptiveAveragePool:
    """Averages over windows that give a grid of `size` x `size` for maps of any size."""

    name: str
    size: int = 6


@dataclass(frozen=True)
class LocalResponseNorm:
    """x / (k + alpha * sum of squares over `size` neighbouring maps) ** beta.

    The sum is not divided by `size`: the paper's convention (section 3.3), with its constants.
    Caffe and torch write alpha for the mean of the squares: theirs is `size` times this one.
    With `groups` towers the neighbours of a map are those of its own tower.
    """

    name: str
    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 2.0
    groups: int = 1


@dataclass(frozen=True)
class SameMapNorm:
    """x / (k + alpha * sum of squares over `size` x `size` neighbours in the same map) ** beta.

    cuda-convnet's response normalisation within a map; beyond the edge there are zeros. As above
    the sum is not divided by the number of neighbours.
    """

    name: str
    size: int
    alpha: float
    beta: float
    k: float


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalisation with a learned scale and shift for each map or unit."""

    name: str


@dataclass(frozen=True)
class Dropout:
    """Sets each value to zero with probability `rate` while training (paper, section 4.2).

    What this takes from the sum is made up for either while training, values divided by
    1 - rate, as Caffe and torch do, or at the test, values multiplied by it, as the paper does.
    The same weights then mean different networks, and the first training step a different one.
    """

    name: str
    rate: float = 0.5
    scaled: Literal["training", "test"] = "training"


Layer = (
    Conv
    | FullyConnected
    | Relu
    | Tanh
    | MaxPool
    | AdaptiveAveragePool
    | LocalResponseNorm
    | SameMapNorm
    | BatchNorm
    | Dropout
)


@dataclass(frozen=True)
class Architecture:
    """A network as data.

    Args:
        name: the name it is called by everywhere.
        description: one line that tells it from the others of its family.
        input_size: height and width of its own input in pixels; 3 channels.
        layers: in the order of the forward pass.
        source: who published it, and where its constants stand.
        towers: parts side by side that meet in few layers, each on a GPU of its own in its time.
            Here they are groups of one tensor, on one device.
        notes: what a reader stumbles over, a sentence each.
    """

    name: str
    description: str
    input_size: int
    layers: tuple[Layer, ...]
    source: str
    towers: int = 1
    notes: tuple[str, ...] = ()
