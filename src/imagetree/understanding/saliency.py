"""Saliency: where in an image lies what a network says of it.

Each method answers for one class: occlusion in probabilities, measured by covering; Grad-CAM and
gradients for the class's logit, by its derivative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from imagetree.errors import TrainingError
from imagetree.training.device import normalise
from imagetree.understanding.activations import check_finite, seen_pixels
from imagetree.understanding.deconvnet import (
    Rule,
    class_gradient,
    evaluating,
    outputs_with_gradient,
    project,
    rectified_layers,
)
from imagetree.understanding.units import receptive_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imagetree.alexnet.network import AlexNet
    from imagetree.recognition.recognizer import Recognizer
    from imagetree.training.batches import Images
    from imagetree.understanding.deconvnet import Projection
    from imagetree.understanding.units import Field

SQUARES, STEPS = 5, 16
"""So many squares, and so many steps of one, make a side of the image, if nothing else is said."""

_BATCH = 32


@dataclass(frozen=True)
class Occlusion:
    """The probability of a class while a square is slid over the image.

    Args:
        size: height and width of the image in pixels.
        side: of the square in pixels.
        stride: from one place to the next, in pixels.
        probability: with nothing covered.
        probabilities: with the square at each place; float64 (rows, columns).
    """

    size: tuple[int, int]
    side: int
    stride: int
    probability: float
    probabilities: NDArray[np.float64]

    @property
    def drop(self) -> NDArray[np.float64]:
        """What covering a place takes from the probability; below zero where it adds to it."""
        return self.probability - self.probabilities

    @property
    def centres(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of the image on which the squares are centred."""
        rows, columns = (square_centres(side, self.stride) for side in self.size)
        return rows, columns

    def drop_at_pixels(self) -> NDArray[np.float32]:
        """The drop between the middles of the squares, bilinear; float32 (H, W)."""
        height, width = self.size
        rows, columns = self.probabilities.shape
        cells = _stretched(self.drop, rows * self.stride, columns * self.stride)
        top, left = (_standing_over(side, self.stride) for side in self.size)
        return cells[top : top + height, left : left + width]


@dataclass(frozen=True)
class ClassMap:
    """A Grad-CAM: how much each place of a layer speaks for a class.

    Args:
        layer: whose maps were weighed.
        size: height and width of the image in pixels.
        weights: of each map, the mean derivative of the logit by its values; float32 (C,).
        values: the weighed sum of the maps where it is above zero; float32 (h, w).
    """

    layer: str
    size: tuple[int, int]
    weights: NDArray[np.float32]
    values: NDArray[np.float32]

    def at_pixels(self) -> NDArray[np.float32]:
        """The map stretched over the image, bilinear; float32 (H, W)."""
        return _stretched(self.values, *self.size)


@dataclass(frozen=True)
class Brought:
    """A unit brought down to the pixels, and the part of the image that it saw."""

    projection: Projection
    field: Field


@dataclass(frozen=True)
class Study:
    """What is known of why a network gives an image a class.

    Args:
        name: of the image.
        pixels: what the network saw of it; uint8 (S, S, 3), RGB.
        wnid: of the class.
        likeliest: wnid and probability of the class that has the greatest.
        occlusion: the class's probability while a square is slid over the image.
        cam: Grad-CAM of the class.
        gradient: of the class's logit; float32 (3, S, S), as the next two.
        guided: the same, guided.
        guided_cam: guided Grad-CAM.
        units: the strongest unit behind each convolution, from the first on.
    """

    name: str
    pixels: NDArray[np.uint8]
    wnid: str
    likeliest: tuple[str, float]
    occlusion: Occlusion
    cam: ClassMap
    gradient: NDArray[np.float32]
    guided: NDArray[np.float32]
    guided_cam: NDArray[np.float32]
    units: tuple[Brought, ...]

    def to_json(self) -> dict[str, Any]:
        """What JSON can hold of it: maps of squares and of the layer, not those of pixels."""
        occlusion, best = self.occlusion, self.likeliest
        return {
            "image": self.name,
            "wnid": self.wnid,
            "probability": occlusion.probability,
            "likeliest": {"wnid": best[0], "probability": best[1]},
            "occlusion": {
                "side": occlusion.side,
                "stride": occlusion.stride,
                "rows": occlusion.centres[0].tolist(),
                "columns": occlusion.centres[1].tolist(),
                "probabilities": occlusion.probabilities.tolist(),
            },
            "grad_cam": {"layer": self.cam.layer, "values": self.cam.values.tolist()},
            "units": [
                {
                    "layer": each.projection.layer,
                    "unit": each.projection.unit,
                    "place": each.projection.place,
                    "response": each.projection.value,
                    "sees": each.field.seen._asdict(),
                }
                for each in self.units
            ],
        }


def square_centres(size: int, stride: int) -> NDArray[np.int64]:
    """Where the squares of an occlusion are centred along one side, as even as can be.

    The side is parted into ceil(size / stride) cells of `stride` pixels, which stand over by as
    much at both ends; each has a square on its middle. So every centre lies in the image.

    >>> square_centres(10, 5).tolist(), square_centres(11, 5).tolist()
    ([2, 7], [0, 5, 10])
    """
    count = -(-size // stride)
    first = stride // 2 - _standing_over(size, stride)
    return np.arange(count, dtype=np.int64) * stride + first


def _standing_over(size: int, stride: int) -> int:
    """Pixels by which the first cell stands over; the last by as many, or one less."""
    return (-(-size // stride) * stride - size + 1) // 2


@torch.no_grad()
def class_probabilities(network: AlexNet, x: torch.Tensor) -> NDArray[np.float64]:
    """The probabilities of all classes, in float32 up to the logits.

    Args:
        network: on the device of `x`; run in evaluation mode and left in the mode it was in.
        x: float (N, 3, H, W), normalised.

    Returns:
        float64 (N, K).

    Raises:
        TrainingError: one is no finite number.
    """
    with evaluating(network):
        logits = network(x).float()
    check_finite("the logits", logits.cpu().numpy())
    found: NDArray[np.float64] = logits.double().softmax(1).cpu().numpy()
    return found


def occlude(
    network: AlexNet,
    x: torch.Tensor,
    class_index: int,
    *,
    side: int | None = None,
    stride: int | None = None,
) -> Occlusion:
    """Slide a grey square over an image (Zeiler and Fergus 2014, section 4.2).

    The grey is zero in the network's input, the mean colour of the training images. Near the edges
    the square is cut off by them.

    Args:
        network: on the device of `x`; run in evaluation mode and left in the mode it was in.
        x: one image, float (1, 3, H, W), normalised; not written to.
        class_index: of the class whose probability is looked at.
        side: of the square in pixels; a fifth of the image's shorter side if None.
        stride: in pixels; a sixteenth of the image's shorter side if None.

    Raises:
        TrainingError: there is no such class, a size is less than 1, or a probability is no finite
            number.
    """
    _check_class(network, class_index)
    height, width = x.shape[2:]
    side = max(1, min(height, width) // SQUARES) if side is None else side
    stride = max(1, min(height, width) // STEPS) if stride is None else stride
    if side < 1 or stride < 1:
        raise TrainingError(f"square of {side} pixels, stride of {stride} (expected at least 1)")
    rows, columns = (square_centres(each, stride).tolist() for each in (height, width))
    corners = [(row - side // 2, column - side // 2) for row in rows for column in columns]
    plain = class_probabilities(network, x)[0, class_index]
    found = [
        class_probabilities(network, _covered(x, corners[first : first + _BATCH], side))
        for first in range(0, len(corners), _BATCH)
    ]
    covered = np.concatenate(found)[:, class_index].reshape(len(rows), len(columns))
    return Occlusion((height, width), side, stride, float(plain), covered)


@torch.enable_grad()
def grad_cam(
    network: AlexNet, x: torch.Tensor, class_index: int, layer: str | None = None
) -> ClassMap:
    """Weigh the maps of a layer by what they mean to a class (Selvaraju et al. 2017, section 3).

    The weight of a map is the mean of the logit's derivative by its values; the weighed sum of the
    maps is rectified, as what speaks against the class belongs to others.

    Args:
        network: on the device of `x`; run in evaluation mode, otherwise left as it was.
        x: one image, float (1, 3, H, W), normalised; not written to.
        class_index: of the class.
        layer: one that gives maps; the activation behind the last convolution if None.

    Raises:
        TrainingError: there is no such class or layer, the layer gives no maps, or a value is no
            finite number.
    """
    _check_class(network, class_index)
    layer = rectified_layers(network.architecture)[-1] if layer is None else layer
    last = network.architecture.layers[-1].name
    image = x.detach().requires_grad_()  # a graph grows whether or not the weights have gradients
    outputs = outputs_with_gradient(network, image, [layer, last])
    maps = outputs[layer]
    if maps.ndim != 4:
        raise TrainingError(
            f"layer {layer!r} gives {maps.shape[1]:,} single values and no maps",
            hint="name a layer in front of fc6, such as conv5",
        )
    [derivative] = torch.autograd.grad(outputs[last][0, class_index], maps)
    weights = derivative[0].mean((1, 2))
    values = torch.einsum("c,chw->hw", weights, maps[0].detach()).clamp(min=0).cpu().numpy()
    check_finite(layer, values)
    return ClassMap(layer, (x.shape[2], x.shape[3]), weights.cpu().numpy(), values)


def guided_grad_cam(guided: NDArray[np.float32], found: ClassMap) -> NDArray[np.float32]:
    """Guided gradients where Grad-CAM says the class is (Selvaraju et al. 2017).

    Args:
        guided: guided gradient of the class; float32 (3, H, W).
        found: the class's map, for the same image.

    Returns:
        Their product, place by place; float32 (3, H, W).
    """
    return guided * found.at_pixels()


def study_image(
    recognizer: Recognizer, images: Images, index: int, wnid: str | None = None
) -> Study:
    """Ask every method about one image; float32 whatever the run's precision.

    Args:
        recognizer: the network, and how it is shown images.
        images: which the image is one of.
        index: which one.
        wnid: of the class to be explained; the likeliest if None.

    Raises:
        TrainingError: the network has no such class, or has diverged.
        DatabaseError: the image cannot be read or decoded.
    """
    network, view = recognizer.network, recognizer.view
    if wnid is not None and wnid not in recognizer.wnids:
        known = ", ".join(recognizer.wnids[:10]) + ", ..." * (len(recognizer.wnids) > 10)
        raise TrainingError(
            f"the network has no class {wnid!r} (expected one of {known})",
            hint="leave --class out for the likeliest class",
        )
    pixels = seen_pixels(recognizer, images, index)
    x = normalise(pixels[None], next(network.parameters()).device, view.mean, view.std)
    probabilities = class_probabilities(network, x)[0]
    best = int(probabilities.argmax())
    number = best if wnid is None else recognizer.wnids.index(wnid)
    cam = grad_cam(network, x, number)
    guided = class_gradient(network, x, number, Rule.GUIDED)
    brought = [project(network, x, layer) for layer in rectified_layers(network.architecture)]
    return Study(
        images.names[index],
        pixels,
        recognizer.wnids[number],
        (recognizer.wnids[best], float(probabilities[best])),
        occlude(network, x, number),
        cam,
        class_gradient(network, x, number),
        guided,
        guided_grad_cam(guided, cam),
        tuple(
            Brought(each, receptive_box(network, each.layer, each.place, view.size))
            for each in brought
        ),
    )


def _check_class(network: AlexNet, class_index: int) -> None:
    if not 0 <= class_index < network.num_classes:
        raise TrainingError(
            f"there is no class {class_index} (expected 0 to {network.num_classes - 1})"
        )


def _covered(x: torch.Tensor, corners: list[tuple[int, int]], side: int) -> torch.Tensor:
    """Copies of one image, each with a square of zeros that begins at a corner, which may lie out.

    Args:
        x: (1, 3, H, W).
        corners: first row and column of each square.
        side: of the squares.
    """
    copies = x.repeat(len(corners), 1, 1, 1)
    for copy, (top, left) in zip(copies, corners, strict=True):
        copy[:, max(top, 0) : top + side, max(left, 0) : left + side] = 0
    return copies


def _stretched(values: NDArray[np.floating], height: int, width: int) -> NDArray[np.float32]:
    """A map at another size, bilinear; float32 (height, width)."""
    return np.asarray(
        cv2.resize(values.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR),
        np.float32,
    )
