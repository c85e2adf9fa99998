"""Activations: what single layers make of images, each as the layer itself gave it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from imagetree.alexnet.counts import hanging_over, output_size
from imagetree.alexnet.layers import Conv, FullyConnected, MaxPool
from imagetree.alexnet.modules import AverageToGrid, LastPool
from imagetree.errors import DatabaseError, TrainingError
from imagetree.training.crops import CentreCrop
from imagetree.training.device import normalise
from imagetree.training.filling import Draw, fill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from imagetree.alexnet.layers import Architecture
    from imagetree.alexnet.network import AlexNet
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.training.batches import Images


@dataclass(frozen=True)
class Maps:
    """The maps of a layer for one image.

    Args:
        layer: its name.
        values: float32 (C, H, W).
        pixels: what the network saw of the image; uint8 (S, S, 3), RGB.
        formula: how the side of the maps comes about of that of the layer's input; empty for a
            layer that has no window, or that pools to a fixed grid.
    """

    layer: str
    values: NDArray[np.float32]
    pixels: NDArray[np.uint8]
    formula: str


@torch.no_grad()
def layer_outputs(
    network: AlexNet, x: torch.Tensor, names: Sequence[str]
) -> dict[str, torch.Tensor]:
    """What some layers give on for a batch.

    The layers are run one after the other, as the network itself does, up to the last of those
    asked for. What others come after is copied first, as the ReLU works in place. No hook is set,
    so that none can be left behind.

    Args:
        network: on the device of `x`; run in evaluation mode and left in the mode it was in.
        x: float (N, 3, H, W), normalised; not written to.
        names: of layers, in any order.

    Returns:
        By name, in the order of the forward pass: (N, C, H, W), behind the first fully connected
        layer (N, units). No two of them share memory.

    Raises:
        TrainingError: the network has no layer of a name.
    """
    check_layers(network.architecture, names)
    was_training = network.training
    network.eval()
    wanted, outputs = set(names), dict[str, torch.Tensor]()
    try:
        for layer in network.architecture.layers:
            if len(outputs) == len(wanted):
                break
            if isinstance(layer, FullyConnected) and x.ndim > 2:
                x = x.flatten(1)
            x = network.get_submodule(layer.name)(x)
            if layer.name in wanted:
                is_last = len(outputs) == len(wanted) - 1
                outputs[layer.name] = x if is_last else x.clone()
    finally:
        network.train(was_training)
    return outputs


def check_layers(architecture: Architecture, names: Sequence[str]) -> None:
    """See that there are layers of these names.

    Raises:
        TrainingError: there is one that is not there; the message lists those that are.
    """
    known = [layer.name for layer in architecture.layers]
    for name in names:
        if name not in known:
            raise TrainingError(
                f"{architecture.name} has no layer {name!r} (expected one of {', '.join(known)})",
                hint=f"see its layers: imagetree alexnet table {architecture.name}",
            )


def index_of(images: Images, name: str) -> int:
    """Which of some images has this name; the first, where several have it.

    Raises:
        TrainingError: none has.
    """
    for index, each in enumerate(images.names):
        if each == name:
            return index
    raise TrainingError(
        f"{name!r} is no image of the split, and no file",
        hint="name an image file, or the split that the image is in with --split",
    )


def maps_of(recognizer: Recognizer, images: Images, index: int, layer: str) -> Maps:
    """The maps of a layer for one image, computed in float32 whatever the run's precision.

    Args:
        recognizer: the network, and how it is shown images.
        images: which the image is one of.
        index: which one.
        layer: one that gives maps; not one behind the first fully connected layer.

    Raises:
        TrainingError: there is no such layer, it gives no maps, or they hold a value that is no
            finite number.
        DatabaseError: the image cannot be read or decoded.
    """
    network, view = recognizer.network, recognizer.view
    check_layers(network.architecture, [layer])
    pixels = seen_pixels(recognizer, images, index)
    x = normalise(pixels[None], next(network.parameters()).device, view.mean, view.std)
    values = layer_outputs(network, x, [layer])[layer].cpu().numpy()[0]
    if values.ndim == 1:
        raise TrainingError(
            f"layer {layer!r} gives {len(values):,} single values and no maps",
            hint="name a layer in front of fc6, such as conv1",
        )
    check_finite(layer, values)
    return Maps(layer, values, pixels, _formula(network, layer, view.size))


def seen_pixels(recognizer: Recognizer, images: Images, index: int) -> NDArray[np.uint8]:
    """What the network sees of an image: its largest centred square, uint8 (S, S, 3), RGB.

    Raises:
        DatabaseError: the image cannot be read or decoded.
    """
    size = recognizer.view.size
    pixels: NDArray[np.uint8] = np.empty((size, size, 3), np.uint8)
    [fault] = fill(pixels[None], [Draw(index, images.rows[index])], CentreCrop(), images.reader)
    if fault is not None:
        raise DatabaseError(f"{images.names[index]}: {fault}")
    return pixels


def check_finite(layer: str, values: NDArray[np.float32]) -> None:
    """See that a network has not diverged.

    Raises:
        TrainingError: a value is no finite number.
    """
    if not np.isfinite(values).all():
        raise TrainingError(
            f"{layer}: a value is no finite number, the network has diverged",
            hint="train again with a lower learning rate: imagetree train CHALLENGE RUN --lr",
        )


def input_sides(network: AlexNet, size: int) -> dict[str, int]:
    """Side of the input of each layer up to the first fully connected one, for an image's side.

    Args:
        network: built for its `input_size`; the image may have another, as at the test.
        size: side of the image in pixels.

    Returns:
        By the layer's name, in the order of the forward pass. Behind the last pooling it is the
        network's own grid, whatever the image's side.

    Raises:
        TrainingError: a window does not fit.
    """
    sides, side = {}, size
    for layer in network.architecture.layers:
        sides[layer.name] = side
        if isinstance(layer, FullyConnected):
            break
        bins = grid_bins(network, layer.name, side)
        if bins is not None:
            side = bins
        elif isinstance(layer, Conv | MaxPool):
            padding = layer.padding if isinstance(layer, Conv) else 0
            side = output_size(side, layer.kernel, layer.stride, padding, overhang=layer.overhang)
    return sides


def grid_bins(network: AlexNet, name: str, side: int) -> int | None:
    """Into how many bins along a side a layer pools, for a map's side; None if it has windows."""
    module = network.get_submodule(name)
    if isinstance(module, LastPool):
        return None if side == module.input_side else module.output_side
    return module.size if isinstance(module, AverageToGrid) else None


def _formula(network: AlexNet, name: str, size: int) -> str:
    """How the side of a layer's maps comes about: (227 - 11)/4 + 1 = 55."""
    side = input_sides(network, size)[name]
    layer = next(each for each in network.architecture.layers if each.name == name)
    if not isinstance(layer, Conv | MaxPool) or grid_bins(network, name, side) is not None:
        return ""
    padding = layer.padding if isinstance(layer, Conv) else 0
    room = side + 2 * padding - layer.kernel
    division = f"({side} - {layer.kernel}{f' + 2*{padding}' if padding else ''})/{layer.stride}"
    if hanging_over(layer, side):
        division = f"ceil({division})"
    elif room % layer.stride:
        division = f"floor({division})"
    result = output_size(side, layer.kernel, layer.stride, padding, overhang=layer.overhang)
    return f"{division} + 1 = {result}"
