"""What an ablation changes in a network, as functions from one architecture to another.

No torch here. Each gives the same network where there is nothing to change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from imagetree.alexnet.architectures import with_batch_norm
from imagetree.alexnet.layers import (
    Architecture,
    BatchNorm,
    Conv,
    FullyConnected,
    Layer,
    LocalResponseNorm,
    MaxPool,
    Relu,
    SameMapNorm,
    Tanh,
)
from imagetree.errors import TrainingError

Activation = Literal["relu", "tanh"]
Norm = Literal["own", "lrn", "batch", "none"]

_NORMED_POOLS = ("pool1", "pool2")
"""Behind these the lecture's table has its norms."""
_TOWER_LAYERS = ("conv2", "conv4", "conv5")
"""These see the maps of their own tower alone (paper, section 3.5 and figure 2)."""


@dataclass(frozen=True)
class Changes:
    """What a network has other than its architecture's own.

    Args:
        activation: function behind the hidden layers.
        norm: see `with_norm`.
        overlapping_pool: see `with_pooling`.
        groups: towers, see `with_groups`; the architecture's own if None.

    Raises:
        TrainingError: there is no such activation or norm.
    """

    activation: Activation = "relu"
    norm: Norm = "own"
    overlapping_pool: bool = True
    groups: int | None = None

    def __post_init__(self) -> None:
        for name, choices in (("activation", get_args(Activation)), ("norm", get_args(Norm))):
            if getattr(self, name) not in choices:
                raise TrainingError(
                    f"{name} is {getattr(self, name)} (expected one of {', '.join(choices)})"
                )


UNCHANGED = Changes()


def changed(architecture: Architecture, changes: Changes) -> Architecture:
    """The same network with all of the changes.

    Raises:
        TrainingError: the maps of a layer cannot be shared out evenly.

    >>> from imagetree.alexnet.architectures import architecture_named
    >>> changed(architecture_named("two_gpu"), Changes(groups=1)).towers
    1
    """
    network = with_norm(architecture, changes.norm)
    network = with_activation(network, changes.activation)
    network = with_pooling(network, overlapping=changes.overlapping_pool)
    return network if changes.groups is None else with_groups(network, changes.groups)


def with_activation(architecture: Architecture, activation: Activation) -> Architecture:
    """The same network with another function behind its hidden layers.

    >>> from imagetree.alexnet.architectures import architecture_named
    >>> network = with_activation(architecture_named("single_gpu"), "tanh")
    >>> [layer.name for layer in network.layers if isinstance(layer, Tanh)][:2]
    ['tanh1', 'tanh2']
    """
    if activation == "relu":
        return architecture
    layers = tuple(
        Tanh(layer.name.replace("relu", "tanh")) if isinstance(layer, Relu) else layer
        for layer in architecture.layers
    )
    return replace(architecture, layers=layers)


def with_norm(architecture: Architecture, norm: Norm) -> Architecture:
    """The same network with another normalisation.

    Args:
        architecture: the network as data.
        norm: `own` leaves it as it is. `lrn` is the architecture's own local response norm where it
            has one, else the paper's behind pool1 and pool2, where the lecture has it. `batch`
            stands before each activation in the place of all other norms and of the biases. `none`
            has no norm.

    >>> from imagetree.alexnet.architectures import architecture_named
    >>> lecture, modern = architecture_named("single_gpu"), architecture_named("batch_norm")
    >>> with_norm(modern, "none").layers[:3] == with_norm(lecture, "none").layers[:3]
    True
    """
    has_lrn = any(isinstance(layer, LocalResponseNorm) for layer in architecture.layers)
    if norm == "own" or (norm == "lrn" and has_lrn):
        return architecture
    layers = _without_norms(architecture.layers)
    if norm == "lrn":
        layers = _with_lrn(layers)
    elif norm == "batch":
        layers = with_batch_norm(layers)
    return replace(architecture, layers=layers)


def with_pooling(architecture: Architecture, *, overlapping: bool) -> Architecture:
    """The same network with pooling windows that overlap, its own, or that do not: 2 x 2, 2 apart.

    Paper, section 3.4: both give maps of the same size (55 to 27 to 13 to 6). For that the last
    window does not hang over the edge any more where it did. At sizes at which 3 x 3 windows do not
    fit a whole number of times, 2 x 2 windows may be one more in a row.

    >>> from imagetree.alexnet.architectures import architecture_named
    >>> with_pooling(architecture_named("chm"), overlapping=False).layers[2]
    MaxPool(name='pool1', kernel=2, stride=2, overhang=False)
    """
    if overlapping:
        return architecture
    layers = tuple(
        replace(layer, kernel=layer.stride, overhang=False) if isinstance(layer, MaxPool) else layer
        for layer in architecture.layers
    )
    return replace(architecture, layers=layers)


def with_groups(architecture: Architecture, groups: int) -> Architecture:
    """The same filters in another number of towers, which meet at conv3 and the dense layers.

    conv2, conv4 and conv5 see the maps of their own tower alone, and a local response norm stays in
    it. With one tower every filter sees all maps.

    Args:
        architecture: the network as data.
        groups: towers.

    Raises:
        TrainingError: the maps of a layer cannot be shared out evenly.

    >>> from imagetree.alexnet.architectures import architecture_named
    >>> with_groups(architecture_named("two_gpu"), 1).towers
    1
    """
    layers: list[Layer] = []
    maps = 3
    for layer in architecture.layers:
        if isinstance(layer, Conv):
            if layer.name in _TOWER_LAYERS:
                _check_shares(layer, maps, groups)
                layer = replace(layer, groups=groups)
            maps = layer.depth
        elif isinstance(layer, LocalResponseNorm):
            layer = replace(layer, groups=groups)
        layers.append(layer)
    return replace(architecture, layers=tuple(layers), towers=groups)


def _check_shares(layer: Conv, maps: int, groups: int) -> None:
    if groups < 1 or maps % groups or layer.depth % groups:
        raise TrainingError(
            f"groups is {groups}, and {layer.name} makes {layer.depth} maps of {maps} "
            "(expected a number that divides both)",
            hint="1 and 2 fit every network",
        )


def _without_norms(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """No norm at all; what batch normalisation had changed is as it was without it."""
    has_batch_norm = any(isinstance(layer, BatchNorm) for layer in layers)
    inits = {layer.name: layer.init for layer in layers if isinstance(layer, Conv)}
    changed: list[Layer] = []
    for layer in layers:
        if isinstance(layer, BatchNorm | LocalResponseNorm | SameMapNorm):
            continue
        if has_batch_norm and isinstance(layer, Conv):
            init = inits["conv2" if layer.name == "conv1" else layer.name]
            layer = replace(layer, bias=True, init=init)
        elif has_batch_norm and isinstance(layer, FullyConnected):
            layer = replace(layer, bias=True)
        changed.append(layer)
    return tuple(changed)


def _with_lrn(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    """The paper's norm behind the first two poolings."""
    changed: list[Layer] = []
    for layer in layers:
        changed.append(layer)
        if layer.name in _NORMED_POOLS:
            changed.append(LocalResponseNorm(f"norm{layer.name[-1]}"))
    return tuple(changed)
