"""Colours that go together: a ground, a figure well apart from it, and accents.

Nothing here knows a shape. Colours are chosen by lightness, chroma and hue in OKLab, where equal
steps look equal, and handed on as sRGB.
Source: Bjorn Ottosson, "A perceptual color space for image processing" (2020), the OKLab matrices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Colours = NDArray[np.float32]

_TO_LMS = np.array([[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728],
                    [1, -0.0894841775, -1.2914855480]])  # fmt: skip
_TO_RGB = np.array([[4.0767416621, -3.3077115913, 0.2309699292],
                    [-1.2684380046, 2.6097574011, -0.3413193965],
                    [-0.0041960863, -0.7034186147, 1.7076147010]])  # fmt: skip
_HARMONIES = (25.0, 60.0, 120.0, 150.0, 180.0)
"""Degrees of hue between figure and ground: from neighbours to opposites."""


@dataclass(frozen=True)
class Palette:
    """Colours of one picture; sRGB in [0, 1], float32 (colours, 3).

    Attributes:
        ground: three near one another.
        figure: three near one another, apart from the ground's.
        accents: four of any lightness, for clutter and what lies in front.
    """

    ground: Colours
    figure: Colours
    accents: Colours


def choose_palette(rng: np.random.Generator) -> Palette:
    """Draw a palette; the figure is lighter or darker than its ground with equal chance."""
    is_lighter = rng.random() < 0.5
    ground_lightness = rng.uniform(0.2, 0.5) if is_lighter else rng.uniform(0.62, 0.95)
    step = rng.uniform(0.36, 0.55)
    figure_lightness = ground_lightness + step if is_lighter else ground_lightness - step
    hue = rng.uniform(0, 360)
    other = hue + float(rng.choice(_HARMONIES)) * (1 if rng.random() < 0.5 else -1)
    accents = [
        oklch(rng.uniform(0.25, 0.92), rng.uniform(0.02, 0.16), rng.choice([hue, other]) + turn)
        for turn in rng.uniform(-40, 40, 4)
    ]
    return Palette(
        ground=_shades(rng, ground_lightness, rng.uniform(0.01, 0.12), hue),
        figure=_shades(rng, figure_lightness, rng.uniform(0.04, 0.19), other),
        accents=np.stack(accents),
    )


def oklch(lightness: float, chroma: float, hue: float) -> Colours:
    """The sRGB colour, float32 (3,), of an OKLab lightness in [0, 1], chroma, and hue in degrees.

    Colours outside sRGB are brought to its border channel by channel.

    >>> oklch(1.0, 0.0, 0.0).round(3).tolist()
    [1.0, 1.0, 1.0]
    """
    angle = math.radians(hue)
    lab = np.array([lightness, chroma * math.cos(angle), chroma * math.sin(angle)])
    linear = np.clip(_TO_RGB @ (_TO_LMS @ lab) ** 3, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(encoded, np.float32)


def _shades(rng: np.random.Generator, lightness: float, chroma: float, hue: float) -> Colours:
    """Three colours around one: a texture runs between them."""
    spread = rng.uniform(0.01, 0.05)
    lightnesses = np.clip(lightness + np.array([-spread, spread, 0.0]), 0.1, 0.98)
    hues = hue + rng.uniform(-14, 14, 3)
    chromas = chroma * rng.uniform(0.7, 1.2, 3)
    return np.stack([oklch(*shade) for shade in zip(lightnesses, chromas, hues, strict=True)])
