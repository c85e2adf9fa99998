"""The least contrast between a figure and its ground, measured along the contour.

Distances are CIE 1976 colour differences in CIELAB: about 2 is just seen, 100 is black to white.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imagetree.demo.shading import Layer

    Map = NDArray[np.float32]

MIN_CONTRAST = 30.0
"""Colour difference that nine tenths of a contour have at least, before lens and sensor."""

_SHRINK = 4  # measured on a picture so many times smaller: the search costs a millisecond
_REACH = 1.2  # standard deviation of the means on either side, in pixels of the smaller picture
_LUMINANCE = np.array([0.3, 0.6, 0.1])  # of red, green and blue, roughly
_SHIFTS = (0.0, 0.18, 0.32, 0.46, 0.6, 0.75)
"""Ways of the ground to black or white, tried in this order."""


def part_figure(ground: Map, figure: Layer) -> Map:
    """The figure on its ground; the ground moves towards black or white until they are apart.

    Args:
        ground: sRGB in [0, 1]; float32 (H, W, 3).
        figure: what lies on it.

    Returns:
        sRGB in [0, 1]; float32 (H, W, 3).
    """
    small_ground, small_colour = _shrink(ground), _shrink(figure.colour)
    small_coverage = _shrink(figure.coverage)
    mean = small_colour.sum((0, 1)) / max(1e-6, float(small_coverage.sum()))
    nearest = np.float32(0.03 if float(mean @ _LUMINANCE) > 0.5 else 0.97)
    found = []
    for pole in (nearest, 1 - nearest):
        for shift in _SHIFTS:
            moved = small_ground + np.float32(shift) * (pole - small_ground)
            found.append((contour_contrast(moved, small_coverage, small_colour), shift, pole))
            if found[-1][0] >= MIN_CONTRAST:
                return _lay(ground, figure, shift, pole)
    _, shift, pole = max(found)
    return _lay(ground, figure, shift, pole)


def contour_contrast(ground: Map, coverage: Map, colour: Map) -> float:
    """The difference that nine tenths of a contour reach; 0.0 where there is no contour.

    Args:
        ground: sRGB in [0, 1] outside the figure; float32 (H, W, 3).
        coverage: share of each pixel inside; float32 (H, W).
        colour: the figure's sRGB times coverage; float32 (H, W, 3).
    """
    inside = cv2.GaussianBlur(cv2.merge([coverage, colour]), (0, 0), _REACH)
    outside = cv2.GaussianBlur(ground * (1 - coverage)[..., None], (0, 0), _REACH)
    share = inside[..., 0]
    is_contour = (share > 0.3) & (share < 0.7)
    if not is_contour.any():
        return 0.0
    within = inside[is_contour]
    one = _to_lab(np.asarray(within[:, 1:] / within[:, :1], np.float32))
    other = _to_lab(np.asarray(outside[is_contour] / (1 - within[:, :1]), np.float32))
    return float(np.percentile(np.linalg.norm(one - other, axis=1), 10))


def _lay(ground: Map, figure: Layer, shift: float, pole: np.float32) -> Map:
    if shift:
        ground = ground + np.float32(shift) * (pole - ground)
    return ground * (1 - figure.coverage)[..., None] + figure.colour


def _shrink(image: Map) -> Map:
    size = (image.shape[1] // _SHRINK, image.shape[0] // _SHRINK)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


def _to_lab(colours: Map) -> Map:
    """CIELAB of sRGB colours in [0, 1], float32 (colours, 3)."""
    clipped = np.clip(colours, 0, 1).astype(np.float32)
    return np.asarray(cv2.cvtColor(clipped[None], cv2.COLOR_RGB2Lab)[0], np.float32)
