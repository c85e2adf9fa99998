"""From a picture to the square that the network sees: random crops, flips, the centre.

Pictures are uint8 (H, W, 3), RGB. Crop and resize are one step; nothing here is random by itself.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

ASPECT_RANGE = (3 / 4, 4 / 3)
"""Width over height of a random crop (Szegedy et al. 2015, section 6)."""

NUM_UNIFORMS = 5
"""Random numbers that a random crop uses up."""


class Box(NamedTuple):
    """A region of a picture in pixels."""

    left: int
    top: int
    width: int
    height: int


def random_box(height: int, width: int, min_area: float, numbers: Sequence[float]) -> Box:
    """A crop of random area, shape and place.

    Args:
        height: of the picture in pixels.
        width: of the picture in pixels.
        min_area: least share of the picture's area.
        numbers: four in [0, 1): area, shape, left, top.

    Returns:
        A box inside the picture; where the shape does not fit, it is narrowed until it does.

    >>> random_box(100, 100, 0.25, [0.0, 0.5, 0.0, 0.999])
    Box(left=0, top=50, width=50, height=50)
    """
    area = height * width * (min_area + (1 - min_area) * numbers[0])
    low, high = (math.log(aspect) for aspect in ASPECT_RANGE)
    aspect = math.exp(low + (high - low) * numbers[1])
    box_width = max(1, min(width, round(math.sqrt(area * aspect))))
    box_height = max(1, min(height, round(math.sqrt(area / aspect))))
    left = int(numbers[2] * (width - box_width + 1))
    top = int(numbers[3] * (height - box_height + 1))
    return Box(left, top, box_width, box_height)


def centre_box(height: int, width: int) -> Box:
    """The largest centred square.

    >>> centre_box(100, 300)
    Box(left=100, top=0, width=100, height=100)
    """
    side = min(height, width)
    return Box((width - side) // 2, (height - side) // 2, side, side)


def resize_into(
    target: NDArray[np.uint8], picture: NDArray[np.uint8], box: Box, *, flip: bool = False
) -> None:
    """Crop, resize and perhaps mirror `picture` into `target`, uint8 (S, S, 3) and contiguous.

    Shrinking by more than half a pixel a pixel averages areas, which does not alias; otherwise
    bilinear.
    """
    part = picture[box.top : box.top + box.height, box.left : box.left + box.width]
    side = target.shape[0]
    shrinks = min(box.width, box.height) >= 1.5 * side
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(part, (side, side), interpolation=interpolation)
    if flip:
        cv2.flip(resized, 1, target)
    else:
        np.copyto(target, resized)
