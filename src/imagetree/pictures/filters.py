"""The filters of the first layer as a picture: what the network looks for in the raw pixels."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from imagetree.errors import TrainingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS = 16
"""The 96 filters stand in 6 rows of 16, as in figure 3 of Krizhevsky et al. 2012."""

GREY_BELOW, COLOURED_ABOVE = 1 / 3, 0.8
"""Shares of energy outside grey; noise of 11 x 11 x 3 weights lies between, at 0.67 +- 0.04."""

_GAP = 1  # in weights, between two filters
_GROUND = 255
_INK = "#33424d"
_TITLE_HEIGHT, _TITLE_SIZE = 26, 15  # in pixels


def filter_grid(
    weights: NDArray[np.float32], columns: int = COLUMNS, *, common_scale: bool = False
) -> NDArray[np.uint8]:
    """Lay filters out in a grid, a pixel for each weight.

    Grey is zero in all of them. Each filter is scaled by its own largest weight, so that a weak
    one is as visible as a strong one; or all of them by the largest of all.

    Args:
        weights: (F, 3, h, w), the channels R, G, B.
        columns: filters in a row.
        common_scale: whether one scale holds for all filters.

    Returns:
        uint8 (rows * (h + 1) + 1, columns * (w + 1) + 1, 3), white between the filters.

    Raises:
        TrainingError: the filters have not three channels, or hold a value that is not finite.
    """
    return _laid_out(_tiles(weights, common_scale=common_scale), columns)


def tower_picture(
    weights: NDArray[np.float32],
    towers: int = 1,
    *,
    scale: int = 4,
    columns: int = COLUMNS,
    common_scale: bool = False,
) -> NDArray[np.uint8]:
    """The grid of the filters, enlarged; where there are two towers, a titled grid for each.

    In figure 3 of the paper the upper 48 filters are those of GPU 1, the lower 48 those of GPU 2.

    Args:
        weights: (F, 3, h, w), the channels R, G, B.
        towers: parts of the network side by side, `Architecture.towers`.
        scale: pixels for each weight, in both directions.
        columns: filters in a row.
        common_scale: whether one scale holds for all filters, those of all towers.

    Returns:
        uint8 (H, W, 3); each tower's grid below its title, "GPU 1" and so on.

    Raises:
        TrainingError: as `filter_grid`, or the towers have not as many filters each.
    """
    tiles = _tiles(weights, common_scale=common_scale)
    if towers == 1:
        return _enlarged(_laid_out(tiles, columns), scale)
    bands: list[NDArray[np.uint8]] = []
    for number, members in enumerate(tower_members(len(tiles), towers), 1):
        grid = _enlarged(_laid_out(tiles[members], columns), scale)
        bands += [_title(f"GPU {number}", grid.shape[1]), grid]
    return np.concatenate(bands)


def tower_members(count: int, towers: int) -> list[slice]:
    """Which filters are whose: the first `count / towers` are the first tower's, and so on.

    Raises:
        TrainingError: they cannot be parted evenly.

    >>> tower_members(96, 2)
    [slice(0, 48, None), slice(48, 96, None)]
    """
    if count % towers:
        raise TrainingError(f"{count} filters in {towers} towers (expected as many in each)")
    share = count // towers
    return [slice(tower * share, (tower + 1) * share) for tower in range(towers)]


def colour_shares(weights: NDArray[np.float32]) -> NDArray[np.float64]:
    """How coloured each filter is: the share of its energy that lies outside grey.

    At each place the three weights are split into their mean, to which a grey pixel speaks, and
    what differs from it, to which only colour speaks; energy is the sum of squares. 0 is a filter
    that sees brightness alone, 1 one that no grey picture excites. Where the weights are noise, as
    before the first step, the share is 2/3 on average: two of three directions are colours.

    Args:
        weights: (F, 3, h, w), the channels R, G, B.

    Returns:
        float64 (F,), each in [0, 1]; 0 for a filter of zeros.

    Raises:
        TrainingError: as `filter_grid`.

    >>> red, grey = [[[1.0]], [[0.0]], [[0.0]]], [[[1.0]], [[1.0]], [[1.0]]]
    >>> colour_shares(np.array([red, grey], np.float32)).round(3).tolist()
    [0.667, 0.0]
    """
    _check(weights)
    exact = weights.astype(np.float64)
    exact /= np.maximum(np.abs(exact).max(axis=(1, 2, 3), keepdims=True), np.finfo(float).tiny)
    coloured = np.square(exact - exact.mean(axis=1, keepdims=True)).sum(axis=(1, 2, 3))
    energy = np.square(exact).sum(axis=(1, 2, 3))
    shares: NDArray[np.float64] = coloured / np.where(energy > 0, energy, 1.0)
    return shares


def describe_colour(weights: NDArray[np.float32], towers: int = 1) -> list[str]:
    """How coloured the filters of each tower are, a line for each.

    Raises:
        TrainingError: as `colour_shares` and `tower_members`.
    """
    lines = []
    for number, members in enumerate(tower_members(len(weights), towers), 1):
        shares = colour_shares(weights[members])
        whose = f"GPU {number}, filters {members.start} to {members.stop - 1}: " * (towers > 1)
        lines.append(
            f"{whose}{np.median(shares):.0%} of the median filter's energy is colour; "
            f"{(shares < GREY_BELOW).sum()} are grey (below {GREY_BELOW:.0%}), "
            f"{(shares > COLOURED_ABOVE).sum()} coloured (above {COLOURED_ABOVE:.0%})"
        )
    return lines


def render_png(pixels: NDArray[np.uint8], scale: int = 1) -> bytes:
    """A picture as a PNG file, each pixel repeated `scale` times in both directions.

    >>> render_png(np.zeros((2, 2, 3), np.uint8))[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    Image.fromarray(_enlarged(pixels, scale)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _check(weights: NDArray[np.float32]) -> None:
    if weights.ndim != 4 or weights.shape[1] != 3:
        raise TrainingError(f"filters have shape {weights.shape} (expected (F, 3, h, w))")
    if not np.isfinite(weights).all():
        raise TrainingError("a filter holds a weight that is no finite number")


def _tiles(weights: NDArray[np.float32], *, common_scale: bool) -> NDArray[np.uint8]:
    """Each filter as pixels, (F, h, w, 3): 128 for zero, 0 or 255 for the largest weight."""
    _check(weights)
    largest = np.abs(weights).max(axis=None if common_scale else (1, 2, 3), keepdims=True)
    scaled = weights / np.maximum(largest, np.finfo(np.float32).tiny)
    tiles: NDArray[np.uint8] = np.rint(127.5 + 127.5 * scaled).astype(np.uint8)
    return tiles.transpose(0, 2, 3, 1)


def _laid_out(tiles: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    count, height, width, _ = tiles.shape
    rows = -(-count // columns)
    grid = np.full(
        (rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), _GROUND, np.uint8
    )
    for index, tile in enumerate(tiles):
        top = index // columns * (height + _GAP) + _GAP
        left = index % columns * (width + _GAP) + _GAP
        grid[top : top + height, left : left + width] = tile
    return grid


def _enlarged(pixels: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    return pixels.repeat(scale, axis=0).repeat(scale, axis=1)


def _title(text: str, width: int) -> NDArray[np.uint8]:
    """A line of text on white, `width` pixels wide."""
    face = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    strip = Image.new("RGB", (width, _TITLE_HEIGHT), "white")
    font = ImageFont.truetype(str(face), _TITLE_SIZE)
    ImageDraw.Draw(strip).text((2, _TITLE_HEIGHT // 2), text, _INK, font, anchor="lm")
    return np.asarray(strip, np.uint8)
