"""Which part of a picture the network sees: random crops, random windows, the centre.

Pictures are uint8 (H, W, 3), RGB. What is random is a function of (seed, epoch, image) alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2

from imagetree.sources.regions import Box
from imagetree.training.randomness import uniforms_each

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

ASPECT_RANGE = (3 / 4, 4 / 3)
"""Width over height of a random crop (Szegedy et al. 2015, section 6)."""


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


def window_box(height: int, width: int, share: float, numbers: Sequence[float]) -> Box:
    """A square window in the largest centred square.

    Args:
        height: of the picture in pixels.
        width: of the picture in pixels.
        share: side of the window as a share of the square's.
        numbers: where it lies: two in [0, 1], from left to right and from top to bottom.

    >>> window_box(100, 300, 1.0, (0.5, 0.5)), window_box(100, 300, 0.5, (0.0, 1.0))
    (Box(left=100, top=0, width=100, height=100), Box(left=100, top=50, width=50, height=50))
    """
    square = min(height, width)
    side = max(1, round(share * square))
    left = (width - square) // 2 + int(numbers[0] * (square - side))
    top = (height - square) // 2 + int(numbers[1] * (square - side))
    return Box(left, top, side, side)


class Crop(Protocol):
    """How pictures become squares; picklable, so that other processes can be told."""

    def numbers(self, indices: NDArray[np.int64]) -> list[list[float]]:
        """The random numbers of each of these images, all at once: one by one they cost more."""

    def box(self, numbers: Sequence[float], height: int, width: int) -> Box:
        """The region of an image with these numbers, which is `height` x `width` pixels."""

    def flips(self, numbers: Sequence[float]) -> bool:
        """Is it mirrored, left to right?"""


@dataclass(frozen=True)
class CentreCrop:
    """The largest centred square, or the centred part of it with this share of its side."""

    share: float = 1.0

    def numbers(self, indices: NDArray[np.int64]) -> list[list[float]]:
        """None: nothing is random."""
        return [[]] * len(indices)

    def box(self, numbers: Sequence[float], height: int, width: int) -> Box:
        """See `Crop`; the same for every image of a size."""
        del numbers
        return window_box(height, width, self.share, (0.5, 0.5))

    def flips(self, numbers: Sequence[float]) -> bool:
        """Never."""
        del numbers
        return False


@dataclass(frozen=True)
class RandomCrop:
    """Random area, shape and place (Szegedy et al. 2015, section 6), every other one mirrored.

    Args:
        min_area: least share of the picture's area.
        seed: of the run.
        epoch: counted from 0.
    """

    min_area: float
    seed: int
    epoch: int

    def numbers(self, indices: NDArray[np.int64]) -> list[list[float]]:
        """Five of each: area, shape, left, top, mirrored."""
        found: list[list[float]] = uniforms_each(5, self.seed, self.epoch, indices).tolist()
        return found

    def box(self, numbers: Sequence[float], height: int, width: int) -> Box:
        """See `Crop`."""
        return random_box(height, width, self.min_area, numbers)

    def flips(self, numbers: Sequence[float]) -> bool:
        """See `Crop`."""
        return numbers[-1] < 0.5


@dataclass(frozen=True)
class RandomWindow:
    """A square window at a random place of the largest centred square, every other one mirrored.

    Krizhevsky et al. 2012, section 4.1: the picture at 256 x 256, short side first and then its
    centre, and from it a random 224 x 224; the place is not bound to whole pixels of those 256.

    Args:
        share: side of the window as a share of the square's, 224/256 in the paper.
        seed: of the run.
        epoch: counted from 0.
    """

    share: float
    seed: int
    epoch: int

    def numbers(self, indices: NDArray[np.int64]) -> list[list[float]]:
        """Three of each: left, top, mirrored."""
        found: list[list[float]] = uniforms_each(3, self.seed, self.epoch, indices).tolist()
        return found

    def box(self, numbers: Sequence[float], height: int, width: int) -> Box:
        """See `Crop`."""
        return window_box(height, width, self.share, numbers)

    def flips(self, numbers: Sequence[float]) -> bool:
        """See `Crop`."""
        return numbers[-1] < 0.5


def resize_into(target: NDArray[np.uint8], picture: NDArray[np.uint8], *, flip: bool) -> None:
    """Resize `picture` into `target`, uint8 (S, S, 3) and contiguous, and perhaps mirror it.

    Bilinear, which leaves no pixel out as long as a side shrinks by less than two; from there on
    the mean over areas, which does not alias.
    """
    side = target.shape[0]
    shrinks = min(picture.shape[:2]) >= 2 * side
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    cv2.resize(picture, (side, side), dst=target, interpolation=interpolation)
    if flip:
        cv2.flip(target, 1, target)
