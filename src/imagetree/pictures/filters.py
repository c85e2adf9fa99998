"""The filters of the first layer as a picture: what the network looks for in the raw pixels."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS = 16
"""The 96 filters stand in 6 rows of 16, as in figure 3 of Krizhevsky et al. 2012."""

_GAP = 1  # in weights, between two filters
_GROUND = 255


def filter_grid(weights: NDArray[np.float32], columns: int = COLUMNS) -> NDArray[np.uint8]:
    """Lay filters out in a grid, a pixel for each weight.

    Each filter is scaled by its own largest weight, so that grey is zero in all of them and a
    weak filter is as visible as a strong one.

    Args:
        weights: (F, 3, h, w), the channels R, G, B.
        columns: filters in a row.

    Returns:
        uint8 (rows * (h + 1) + 1, columns * (w + 1) + 1, 3), white between the filters.

    Raises:
        TrainingError: the filters have not three channels, or hold a value that is not finite.
    """
    if weights.ndim != 4 or weights.shape[1] != 3:
        raise TrainingError(f"filters have shape {weights.shape} (expected (F, 3, h, w))")
    if not np.isfinite(weights).all():
        raise TrainingError("a filter holds a weight that is no finite number")
    count, _, height, width = weights.shape
    largest = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    scaled = weights / np.maximum(largest, np.finfo(np.float32).tiny)
    tiles = np.rint(127.5 + 127.5 * scaled).astype(np.uint8).transpose(0, 2, 3, 1)
    rows = -(-count // columns)
    grid = np.full(
        (rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), _GROUND, np.uint8
    )
    for index, tile in enumerate(tiles):
        top = index // columns * (height + _GAP) + _GAP
        left = index % columns * (width + _GAP) + _GAP
        grid[top : top + height, left : left + width] = tile
    return grid


def render_png(pixels: NDArray[np.uint8], scale: int = 1) -> bytes:
    """A picture as a PNG file, each pixel repeated `scale` times in both directions.

    >>> render_png(np.zeros((2, 2, 3), np.uint8))[1:4]
    b'PNG'
    """
    large = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    buffer = io.BytesIO()
    Image.fromarray(large).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
