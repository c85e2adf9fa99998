"""Patterns on a plane: gradients, clouds, stripes, checks, dots, marble, brushed, weave.

A pattern is a map of values in [0, 1]; `paint` runs the colours of a palette over it. What lies
on the plane, and how it is lit, is not known here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Map = NDArray[np.float32]
    Shape = tuple[int, int]


def paint(rng: np.random.Generator, shape: Shape, colours: Map) -> Map:
    """A textured plane.

    Args:
        rng: source of every choice.
        shape: height and width in pixels.
        colours: sRGB in [0, 1]; float32 (3, 3): the pattern's two ends, and a tint of its clouds.

    Returns:
        sRGB, float32 (H, W, 3).
    """
    pattern = PATTERNS[int(rng.integers(len(PATTERNS)))](rng, shape)
    plane = _run_colours(pattern, colours[0], colours[1])
    if rng.random() < 0.5:
        plane += (0.6 * clouds(rng, shape))[..., None] * (colours[2] - plane)
    return plane


def clouds(rng: np.random.Generator, shape: Shape, coarsest: int = 3) -> Map:
    """Noise at four scales, each twice as fine and two thirds as strong as the one before."""
    total = rng.random((coarsest, coarsest), dtype=np.float32)
    strength, weight = 1.0, 1.0
    for octave in range(1, 4):
        side = coarsest * 2**octave
        strength *= 0.62
        weight += strength
        finer = rng.random((side, side), dtype=np.float32)
        total = _enlarge(total, (side, side)) + np.float32(strength) * finer
    total = _enlarge(total, shape)
    return _clip((total / weight - 0.5) * 2.2 + 0.5)


def _enlarge(noise: Map, shape: Shape) -> Map:
    return np.asarray(cv2.resize(noise, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def _gradient(rng: np.random.Generator, shape: Shape) -> Map:
    along = _along(shape, rng.uniform(0, 2 * math.pi))
    low, high = float(along.min()), float(along.max())
    return (along - low) / (high - low)


def _stripes(rng: np.random.Generator, shape: Shape) -> Map:
    wave = rng.uniform(9, 44)
    phase = _along(shape, rng.uniform(0, math.pi)) * (2 * math.pi / wave)
    if rng.random() < 0.4:
        phase = phase + rng.uniform(1, 5) * clouds(rng, shape)
    return _edge(np.sin(phase), wave)


def _checks(rng: np.random.Generator, shape: Shape) -> Map:
    wave, angle = rng.uniform(18, 60), rng.uniform(0, math.pi)
    across = np.sin(_along(shape, angle) * (2 * math.pi / wave))
    down = np.sin(_along(shape, angle + math.pi / 2) * (2 * math.pi / wave))
    return _edge(across * down, wave)


def _dots(rng: np.random.Generator, shape: Shape) -> Map:
    wave, angle = rng.uniform(12, 34), rng.uniform(0, math.pi)
    across = np.cos(_along(shape, angle) * (2 * math.pi / wave))
    down = np.cos(_along(shape, angle + math.pi / 2) * (2 * math.pi / wave))
    return _edge(across + down - rng.uniform(0.5, 1.1), wave)


def _zigzag(rng: np.random.Generator, shape: Shape) -> Map:
    wave, angle = rng.uniform(14, 40), rng.uniform(0, math.pi)
    fold = np.abs(np.mod(_along(shape, angle) / rng.uniform(16, 40), 2) - 1)
    along = _along(shape, angle + math.pi / 2) + fold * rng.uniform(8, 24)
    return _edge(np.sin(along * (2 * math.pi / wave)), wave)


def _marble(rng: np.random.Generator, shape: Shape) -> Map:
    wave = rng.uniform(30, 90)
    phase = _along(shape, rng.uniform(0, math.pi)) * (2 * math.pi / wave)
    veins = np.abs(np.sin(phase + rng.uniform(4, 10) * clouds(rng, shape)))
    return np.sqrt(veins)


def _brushed(rng: np.random.Generator, shape: Shape) -> Map:
    """Fine lines along one direction, as on wood or metal."""
    height, width = shape
    lines = rng.random((height // 2, max(2, width // 60)), dtype=np.float32)
    if rng.random() < 0.5:
        lines = np.ascontiguousarray(lines.T)
    return _clip(_enlarge(lines, shape))


def _islands(rng: np.random.Generator, shape: Shape) -> Map:
    return _clip((clouds(rng, shape, coarsest=5) - 0.5) * rng.uniform(6, 25) + 0.5)


def _weave(rng: np.random.Generator, shape: Shape) -> Map:
    wave, angle = rng.uniform(8, 20), rng.uniform(0, math.pi)
    across = np.sin(_along(shape, angle) * (2 * math.pi / wave))
    down = np.sin(_along(shape, angle + math.pi / 2) * (2 * math.pi / wave))
    return np.asarray(np.maximum(across, down) * 0.5 + 0.5, np.float32)


PATTERNS = (
    _gradient, _gradient, clouds, clouds, _stripes, _checks, _dots, _zigzag, _marble, _brushed,
    _islands, _weave,
)  # fmt: skip
"""Each pattern has an equal chance; the quiet ones stand here twice."""


def _along(shape: Shape, angle: float) -> Map:
    """Pixels along a direction, from the picture's centre."""
    height, width = shape
    down = (np.arange(height, dtype=np.float32) - height / 2)[:, None] * np.float32(math.sin(angle))
    across = (np.arange(width, dtype=np.float32) - width / 2) * np.float32(math.cos(angle))
    return down + across


def _edge(wave: Map, wavelength: float) -> Map:
    """A wave of amplitude 1 made square, its flanks about a pixel and a half wide."""
    return _clip(wave * np.float32(wavelength / 9) + np.float32(0.5))


def _clip(values: Map) -> Map:
    return np.clip(values, 0, 1, out=values)


def _run_colours(pattern: Map, start: Map, end: Map) -> Map:
    """From one colour to another by a map of values in [0, 1]."""
    planes = [pattern * (e - s) + s for s, e in zip(start, end, strict=True)]
    return np.asarray(cv2.merge(planes), np.float32)
