"""Ten views of an image: five windows and their mirror images (Krizhevsky et al. 2012, 4.1).

They are cut from one batch of squares, so that an image is decoded once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_SQUARE, _WINDOW = 256, 227
"""Of images with a short side of 256 pixels the networks of 2012 see 227 x 227."""


def side_for_ten(size: int) -> int:
    """Side in pixels of the square that windows of `size` are cut from.

    >>> side_for_ten(227), side_for_ten(195)
    (256, 220)
    """
    return round(size * _SQUARE / _WINDOW)


def iter_ten_crops(squares: NDArray[np.uint8], size: int) -> Iterator[NDArray[np.uint8]]:
    """The four corners and the centre, and then each of them mirrored, left to right.

    Args:
        squares: uint8 (N, S, S, 3), S >= size.
        size: side of a window in pixels.

    Yields:
        Ten times uint8 (N, size, size, 3), contiguous: top left, top right, bottom left, bottom
        right, centre, and the same again mirrored.
    """
    end = squares.shape[1] - size
    windows = [
        squares[:, top : top + size, left : left + size]
        for top, left in ((0, 0), (0, end), (end, 0), (end, end), (end // 2, end // 2))
    ]
    for window in (*windows, *(each[:, :, ::-1] for each in windows)):
        yield np.ascontiguousarray(window)
