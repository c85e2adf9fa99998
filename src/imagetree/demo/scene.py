"""One picture of one class: ground, clutter, figure, shadow, something in front, lens.

The picture of (wnid, number, seed) depends on nothing else: not on the process that draws it,
nor on what was drawn before. Files and archives are `archive`'s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from imagetree.demo import clutter, plane, shading, solids, textures
from imagetree.demo.contrast import part_figure
from imagetree.demo.palette import choose_palette
from imagetree.demo.shading import Layer
from imagetree.demo.tree import FIGURES, Figure
from imagetree.errors import ImagetreeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imagetree.demo.palette import Palette
    from imagetree.demo.shading import Light

    Map = NDArray[np.float32]

MAX_TURN = math.radians(32)
"""Figures lean by up to this angle to either side of upright."""

_SHORT_SIDE = 256
_LONG_SIDES = (256, 288, 320)
_FIGURE_OF = {figure.wnid: figure for figure in FIGURES}


@dataclass(frozen=True)
class Scene:
    """A picture and where its figure is.

    Attributes:
        picture: sRGB, uint8 (H, W, 3).
        coverage: share of each pixel inside the figure, hidden parts included; float32 (H, W).
        hidden: share of each pixel covered by what lies in front; float32 (H, W).
    """

    picture: NDArray[np.uint8]
    coverage: Map
    hidden: Map


def draw_image(wnid: str, number: int, seed: int = 0) -> NDArray[np.uint8]:
    """The picture of a class with a number.

    Args:
        wnid: a class of `FIGURES`.
        number: of the picture within its class, 0 or more.
        seed: of the whole set, 0 or more.

    Returns:
        sRGB, uint8 (H, W, 3); the short side has 256 pixels, the long side 256 to 320.

    Raises:
        ImagetreeError: the wnid is not a drawn class.
    """
    return compose(wnid, number, seed).picture


def compose(wnid: str, number: int, seed: int = 0) -> Scene:
    """As `draw_image`, with the figure's place."""
    if wnid not in _FIGURE_OF:
        raise ImagetreeError(
            f"demo: {wnid!r} is not a drawn class (expected one of {sorted(_FIGURE_OF)})",
            hint="the drawn classes are imagetree.demo.FIGURES",
        )
    rng = np.random.default_rng(np.random.SeedSequence([seed, int(wnid[1:]), number]))
    shape = _choose_shape(rng)
    palette, light = choose_palette(rng), shading.choose_light(rng)
    figure = _draw_figure(rng, _FIGURE_OF[wnid], light, shape, palette.figure)
    ground = _draw_ground(rng, shape, palette)
    ground *= _shadow_factor(rng, figure.coverage, light)[..., None]
    picture = part_figure(ground, figure)
    hidden = _hide(rng, picture, figure.coverage, palette.accents, light)
    picture *= shading.fall_off(rng, light, shape)[..., None]
    return Scene(_photograph(rng, picture), figure.coverage, hidden)


def _choose_shape(rng: np.random.Generator) -> tuple[int, int]:
    """Height and width: square, lying or standing."""
    long = int(rng.choice(_LONG_SIDES))
    return (_SHORT_SIDE, long) if rng.random() < 0.5 else (long, _SHORT_SIDE)


def _draw_ground(rng: np.random.Generator, shape: tuple[int, int], palette: Palette) -> Map:
    """A textured plane, now and then of two sheets, and clutter on it."""
    ground = textures.paint(rng, shape, palette.ground)
    if rng.random() < 0.3:
        angle, centre = rng.uniform(0, 2 * math.pi), rng.uniform(0.25, 0.75, 2) * shape[::-1]
        half_plane = np.array([[-2, 0], [2, 0], [2, 4], [-2, 4]])
        sheet = plane.place_contour(half_plane, (centre[0], centre[1]), 400, angle)
        share = plane.fill_contour(sheet, shape)[..., None]
        ground += share * (textures.paint(rng, shape, palette.ground[::-1]) - ground)
    clutter.scatter_clutter(rng, ground, np.concatenate([palette.accents, palette.figure]))
    return ground


def _draw_figure(
    rng: np.random.Generator,
    figure: Figure,
    light: Light,
    shape: tuple[int, int],
    colours: Map,
) -> Layer:
    """The figure in its place, large enough to be known."""
    radius = _SHORT_SIDE * rng.uniform(0.6, 0.93) / 2
    corner = [round(rng.uniform(0, extent - 2 * radius)) for extent in shape]
    side = 2 * math.ceil(radius)
    if figure.is_solid:
        layer = shading.render_solid(rng, solids.SOLIDS[figure.lemma], light, side, colours)
    else:
        contour = plane.place_contour(
            plane.CONTOURS[figure.lemma](rng),
            (side / 2, side / 2),
            radius,
            rng.uniform(-MAX_TURN, MAX_TURN),
        )
        coverage = plane.fill_contour(contour, (side, side))
        colour = textures.paint(rng, (side, side), colours)
        layer = shading.light_sheet(rng, Layer(coverage, colour), light)
    return _paste(layer, (corner[0], corner[1]), shape)


def _paste(window: Layer, corner: tuple[int, int], shape: tuple[int, int]) -> Layer:
    """A small layer at (top, left) of one of a picture's size; what sticks out is cut."""
    top, left = corner
    coverage = np.zeros(shape, np.float32)
    colour = np.zeros((*shape, 3), np.float32)
    place = coverage[top : top + len(window.coverage), left : left + len(window.coverage)]
    height, width = place.shape
    place[:] = window.coverage[:height, :width]
    colour[top : top + height, left : left + width] = window.colour[:height, :width]
    return Layer(coverage, colour)


def _shadow_factor(rng: np.random.Generator, coverage: Map, light: Light) -> Map:
    """What is left of the lamp beside the figure: a near and crisp or a far and soft shadow."""
    distance = rng.uniform(4, 22)
    softness = rng.uniform(0.25, 0.5) * distance + 1
    lost = shading.cast_shadow(coverage, light, distance, softness)
    return 1 - np.float32(rng.uniform(0.25, 0.55)) * lost


def _hide(rng: np.random.Generator, picture: Map, coverage: Map, accents: Map, light: Light) -> Map:
    """Lay something with its own shadow over the figure's border, in place."""
    cover = clutter.hide_part(rng, coverage)
    if not cover.any():
        return cover
    picture *= (1 - 0.4 * shading.cast_shadow(cover, light, 6, 3))[..., None]
    colour = accents[rng.integers(len(accents))]
    picture += cover[..., None] * (colour - picture)
    return cover


def _photograph(rng: np.random.Generator, picture: Map) -> NDArray[np.uint8]:
    """A lens that is a little soft and a sensor with a little noise; uint8."""
    blur = rng.uniform(0.0, 1.0)
    if blur > 0.35:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.float32)
    grain = rng.standard_normal(picture.shape[:2], dtype=np.float32)
    picture *= 255
    picture += (grain * np.float32(rng.uniform(0.5, 6)))[..., None]
    return np.clip(picture, 0, 255, out=picture).astype(np.uint8)
