"""Plane figures as contours in the unit disc. Colour, light and place are not known here.

A contour is a closed polygon, float64 (points, 2), x to the right and y down; its turn is free,
so each function draws its figure upright.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Contour = NDArray[np.float64]

_SUBPIXEL_BITS = 4
"""Fraction bits of OpenCV's fixed-point coordinates: contours keep a sixteenth of a pixel."""


def fill_contour(contour: Contour, shape: tuple[int, int]) -> NDArray[np.float32]:
    """The share of each pixel inside a contour given in pixels; float32 (H, W) in [0, 1]."""
    points = np.round((contour - 0.5) * 2**_SUBPIXEL_BITS).astype(np.int32)
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, _SUBPIXEL_BITS)
    return mask.astype(np.float32) * np.float32(1 / 255)


def place_contour(
    contour: Contour, centre: tuple[float, float], radius: float, turn: float
) -> Contour:
    """Turn (radians), scale and move a contour of the unit disc into the picture."""
    cos, sin = math.cos(turn) * radius, math.sin(turn) * radius
    return np.asarray(contour @ np.array([[cos, sin], [-sin, cos]]) + np.array(centre))


def _triangle(rng: np.random.Generator) -> Contour:
    """A triangle on the unit circle, no angle under 48 degrees."""
    arcs: NDArray[np.float64] = 96 + rng.dirichlet([1, 1, 1]) * (360 - 3 * 96)
    return _on_circle(np.radians(np.cumsum(arcs), dtype=np.float64))


def _square(rng: np.random.Generator) -> Contour:
    """A square; nothing but place and turn may vary."""
    return _on_circle((np.arange(4) + 0.5) * (math.pi / 2))


def _star(rng: np.random.Generator) -> Contour:
    """Five to seven points, the notches at 36 to 52 percent of their height."""
    points = int(rng.integers(5, 8))
    radii = np.tile([1.0, rng.uniform(0.36, 0.52)], points)
    return np.asarray(_on_circle(np.arange(2 * points) * (math.pi / points)) * radii[:, None])


def _heart(rng: np.random.Generator) -> Contour:
    t = np.linspace(0, 2 * math.pi, 96, endpoint=False)
    across = 16 * np.sin(t) ** 3 * rng.uniform(0.9, 1.08)
    up = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return _fit(np.stack([across, -up], 1))


def _ellipse(rng: np.random.Generator) -> Contour:
    """An ellipse whose short axis is 45 to 70 percent of the long one: never a circle."""
    circle = _on_circle(np.linspace(0, 2 * math.pi, 96, endpoint=False))
    return np.asarray(circle * np.array([1, rng.uniform(0.45, 0.7)]))


def _crescent(rng: np.random.Generator) -> Contour:
    """The unit disc less a smaller disc that cuts its border."""
    radius = rng.uniform(0.78, 0.92)
    offset = max(rng.uniform(0.42, 0.62) - 1 + radius, 1.1 - radius)
    outer = math.acos((1 + offset**2 - radius**2) / (2 * offset))
    inner = math.acos((1 - offset**2 - radius**2) / (2 * offset * radius))
    back = _on_circle(np.linspace(outer, 2 * math.pi - outer, 72))
    front = _on_circle(np.linspace(2 * math.pi - inner, inner, 72)) * radius
    front = front + np.array([offset, 0])
    return _fit(np.concatenate([back, front]))


def _spiral(rng: np.random.Generator) -> Contour:
    """A band that winds in from the unit circle, two to three times, with pointed ends."""
    turns = rng.uniform(2.1, 3.1)
    pitch = 0.93 / turns
    t = np.linspace(0, 1, 220)
    half = pitch * rng.uniform(0.22, 0.29) * np.clip(np.minimum(t / 0.05, (1 - t) / 0.08), 0, 1)
    middle = 1 - pitch * 0.29 - t * (0.93 - pitch * 0.29)
    circle = _on_circle(t * turns * 2 * math.pi)
    outwards = circle * (middle + half)[:, None]
    return np.concatenate([outwards, (circle * (middle - half)[:, None])[::-1]])


def _semicircle(rng: np.random.Generator) -> Contour:
    return _fit(_on_circle(np.linspace(0, math.pi, 64)))


CONTOURS: dict[str, Callable[[np.random.Generator], Contour]] = {
    "triangle": _triangle,
    "square": _square,
    "star": _star,
    "heart": _heart,
    "ellipse": _ellipse,
    "crescent": _crescent,
    "spiral": _spiral,
    "semicircle": _semicircle,
}
"""The contour of each plane figure, by its lemma in `tree.FIGURES`."""


def _on_circle(angles: NDArray[np.floating]) -> Contour:
    """Points of the unit circle."""
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def _fit(contour: Contour) -> Contour:
    """Move the middle of a contour's box to the origin, and its farthest point to the circle."""
    centred = contour - (contour.min(0) + contour.max(0)) / 2
    return np.asarray(centred / np.linalg.norm(centred, axis=1).max())
