"""What lies about and in front: strokes, scraps and blobs that are no class.

Scraps have uneven corners and blobs uneven bays, so that none passes for a figure of the tree.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from imagetree.demo.plane import fill_contour, place_contour

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imagetree.demo.plane import Contour

    Map = NDArray[np.float32]

MAX_HIDDEN = 0.12
"""Greatest share of a figure that lies behind something."""

_SUBPIXEL_BITS = 4


def scatter_clutter(rng: np.random.Generator, ground: Map, colours: Map) -> None:
    """Lay up to six small strokes, scraps and blobs on the ground, in place.

    Args:
        rng: source of every choice.
        ground: sRGB, float32 (H, W, 3); changed.
        colours: to choose from; float32 (colours, 3).
    """
    height, width = ground.shape[:2]
    side = min(height, width)
    for _ in range(int(rng.integers(1, 7))):
        centre = (rng.uniform(0, width), rng.uniform(0, height))
        colour = tuple(colours[rng.integers(len(colours))].tolist())
        if rng.random() < 0.45:
            _draw_stroke(rng, ground, centre, colour)
            continue
        outline = _scrap(rng) if rng.random() < 0.5 else _blob(rng)
        size = side * rng.uniform(0.012, 0.04)
        contour = place_contour(outline, centre, size, rng.uniform(0, 2 * math.pi))
        _fill(ground, contour, colour)


def hide_part(rng: np.random.Generator, coverage: Map) -> Map:
    """A bar, scrap or blob over the figure's border, in a third of the pictures.

    Args:
        rng: source of every choice.
        coverage: of the figure; float32 (H, W).

    Returns:
        Share of each pixel covered, float32 (H, W), all zero for nothing. At most `MAX_HIDDEN` of
        the figure lies behind it.
    """
    if rng.random() < 0.65:
        return np.zeros_like(coverage)
    height, width = coverage.shape
    points = np.argwhere(coverage > 0.5)
    middle, extent = points.mean(0), points.std(0).mean()
    turn = rng.uniform(0, 2 * math.pi)
    away = extent * rng.uniform(0.9, 2.0)
    centre = (middle[1] + away * math.cos(turn), middle[0] + away * math.sin(turn))
    kind = rng.integers(3)
    outline = _bar(rng) if kind == 0 else _scrap(rng) if kind == 1 else _blob(rng)
    size = extent * (rng.uniform(1.8, 3.0) if kind == 0 else rng.uniform(0.5, 1.0))
    whole = float(coverage.sum())
    for _ in range(8):
        cover = fill_contour(
            place_contour(outline, centre, size, turn + math.pi / 2), (height, width)
        )
        if float((cover * coverage).sum()) <= MAX_HIDDEN * whole:
            return cover
        outline = outline * ((1, 0.75) if kind == 0 else (0.8, 0.8))
    return np.zeros_like(coverage)


def _draw_stroke(
    rng: np.random.Generator, ground: Map, centre: tuple[float, float], colour: tuple[float, ...]
) -> None:
    """A short line, a pixel to four wide."""
    length, angle = rng.uniform(6, 24), rng.uniform(0, math.pi)
    end = (centre[0] + length * math.cos(angle), centre[1] + length * math.sin(angle))
    start, stop = ([round(v * 2**_SUBPIXEL_BITS) for v in point] for point in (centre, end))
    cv2.line(ground, start, stop, colour, int(rng.integers(1, 5)), cv2.LINE_AA, _SUBPIXEL_BITS)


def _fill(ground: Map, contour: Contour, colour: tuple[float, ...]) -> None:
    """Fill a small contour, with soft edges, in place."""
    left, top = np.floor(contour.min(0)).astype(int) - 1
    right, bottom = np.ceil(contour.max(0)).astype(int) + 2
    left, top = max(left, 0), max(top, 0)
    window = ground[top:bottom, left:right]
    if window.size == 0:
        return
    cover = fill_contour(contour - (left, top), window.shape[:2])[..., None]
    window += cover * (np.array(colour, np.float32) - window)


def _bar(rng: np.random.Generator) -> Contour:
    """A strip along x, of unit half length."""
    half = rng.uniform(0.05, 0.13)
    return np.array([[-1, -half], [1, -half * rng.uniform(0.7, 1)], [1, half], [-1, half]])


def _scrap(rng: np.random.Generator) -> Contour:
    """A torn shape of five to eight uneven corners."""
    corners = int(rng.integers(5, 9))
    angles = np.sort(rng.uniform(0, 2 * math.pi, corners))
    radii = rng.uniform(0.35, 1.0, corners)
    return np.asarray(np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None])


def _blob(rng: np.random.Generator) -> Contour:
    """A rounded shape with bays."""
    angles = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    radii = np.full(48, 0.7)
    for wave in (2, 3, 5):
        radii += rng.uniform(-0.16, 0.16) * np.cos(wave * angles + rng.uniform(0, 6))
    return np.asarray(np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None])
