"""Light on solids, on sheets and on the ground: shading, gloss, shadows, falling-off.

One light from one direction for the whole picture. Shapes come from `plane` and `solids`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from imagetree.demo import solids

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from imagetree.demo.solids import Hit, Matrix, Solid

    Map = NDArray[np.float32]

_TRIED_VIEWS = 6
_SUPERSAMPLING = 1.5  # rays for a pixel along each side; 2 took half as long again
_MAX_ROLL = math.radians(26)  # solids lean by up to this to either side of upright


@dataclass(frozen=True)
class Light:
    """A distant lamp.

    Attributes:
        direction: from the scene to the lamp; unit x right, y down, z to the camera.
        ambient: share of the light that comes from everywhere, in [0, 1].
        gloss: strength of the highlight, 0 for none.
    """

    direction: NDArray[np.float64]
    ambient: float
    gloss: float


@dataclass(frozen=True)
class Layer:
    """Something to lay over a picture.

    Attributes:
        coverage: share of each pixel that it covers; float32 (H, W).
        colour: sRGB times coverage; float32 (H, W, 3).
    """

    coverage: Map
    colour: Map


def choose_light(rng: np.random.Generator) -> Light:
    """A lamp on the viewer's side, 30 to 60 degrees above the picture's plane."""
    azimuth, height = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(30, 60))
    return Light(
        direction=np.array(
            [
                math.cos(azimuth) * math.cos(height),
                math.sin(azimuth) * math.cos(height),
                math.sin(height),
            ]
        ),
        ambient=rng.uniform(0.3, 0.48),
        gloss=rng.uniform(0.1, 0.5) if rng.random() < 0.6 else 0.0,
    )


def choose_view(rng: np.random.Generator, solid: Solid, light: Light) -> Matrix:
    """A rotation from which the solid is known; of a few, the one whose faces differ most."""
    views = [
        solids.look_from(
            math.radians(rng.uniform(*solid.tilts)),
            math.radians(rng.uniform(*solid.spins)),
            rng.uniform(-_MAX_ROLL, _MAX_ROLL),
        )
        for _ in range(_TRIED_VIEWS)
    ]
    faces = solid.faces
    if faces is None:
        return views[0]
    return max(views, key=lambda axes: _least_difference(faces @ axes.T, light))


def render_solid(
    rng: np.random.Generator, solid: Solid, light: Light, side: int, colours: Map
) -> Layer:
    """A lit, textured solid in a square window of side x side pixels that fits its unit ball."""
    axes = choose_view(rng, solid, light)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        hit = solid.meet(solids.cast_rays(axes, round(side * _SUPERSAMPLING)))
        mask = hit.is_met.astype(np.float32)
        pattern = _solid_pattern(rng, hit)
        bright, shine = _shade(hit, axes, light)
    shine *= mask
    bright *= mask
    planes = [
        bright * (start + pattern * (end - start)) + shine
        for start, end in zip(colours[0], colours[1], strict=True)
    ]
    fine = cv2.merge([mask, *planes])
    fine[~hit.is_met] = 0
    small = cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA)
    return Layer(np.ascontiguousarray(small[..., 0]), np.minimum(small[..., 1:], 1))


def light_sheet(rng: np.random.Generator, sheet: Layer, light: Light) -> Layer:
    """A cut sheet of some thickness: its border is bright towards the lamp and dark away.

    Args:
        rng: source of every choice.
        sheet: coverage, and colour not yet multiplied by it.
        light: gives the direction.
    """
    thickness = rng.uniform(1.2, 3.0)
    raised = cv2.GaussianBlur(sheet.coverage, (0, 0), thickness)
    slope_x = cv2.Sobel(raised, cv2.CV_32F, 1, 0, ksize=3)
    slope_y = cv2.Sobel(raised, cv2.CV_32F, 0, 1, ksize=3)
    towards = slope_x * np.float32(light.direction[0]) + slope_y * np.float32(light.direction[1])
    bright = 1 - np.float32(rng.uniform(0.0, 0.5) * thickness / 2) * towards
    colour = np.minimum(sheet.colour * bright[..., None], 1) * sheet.coverage[..., None]
    return Layer(sheet.coverage, colour)


def cast_shadow(coverage: Map, light: Light, distance: float, softness: float) -> Map:
    """How much of the lamp each pixel of the ground loses to something over it; (H, W) in [0, 1].

    Args:
        coverage: of what is over the ground; float32 (H, W).
        light: gives the direction.
        distance: to which the shadow is thrown, pixels.
        softness: standard deviation of its border, pixels.
    """
    height, width = coverage.shape
    away = -light.direction[:2] * distance / max(1e-6, float(np.hypot(*light.direction[:2])))
    small = cv2.resize(coverage, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    move = np.array([[1, 0, away[0] / 4], [0, 1, away[1] / 4]])
    moved = cv2.warpAffine(small, move, (width // 4, height // 4))
    soft = cv2.GaussianBlur(moved, (0, 0), max(0.4, softness / 4))
    return np.asarray(cv2.resize(soft, (width, height)), np.float32)


def fall_off(rng: np.random.Generator, light: Light, shape: tuple[int, int]) -> Map:
    """Brighter towards the lamp, darker in the corners; factors (H, W) about 1."""
    height, width = shape
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)
    slope = light.direction[:2].astype(np.float32) * np.float32(rng.uniform(0.05, 0.28))
    corner = np.float32(rng.uniform(0.0, 0.13))
    return np.asarray(1.04 + slope[0] * x + slope[1] * y - corner * (x * x + y * y), np.float32)


def _shade(hit: Hit, axes: Matrix, light: Light) -> tuple[Map, Map]:
    """Brightness (a factor) and highlight (added) of each point."""
    lamp = (light.direction @ axes).astype(np.float32)
    halfway = light.direction + np.array([0, 0, 1])
    halfway = ((halfway / np.linalg.norm(halfway)) @ axes).astype(np.float32)
    x, y, z = hit.normal
    facing = np.maximum(x * lamp[0] + y * lamp[1] + z * lamp[2], np.float32(0))
    bright = np.float32(light.ambient) + np.float32(1.12 - light.ambient) * facing
    if light.gloss == 0:
        return bright, np.zeros_like(bright)
    mirrored = np.maximum(x * halfway[0] + y * halfway[1] + z * halfway[2], 0)
    for _ in range(5):  # to the power of 32, by squaring
        mirrored = mirrored * mirrored
    return bright, np.float32(light.gloss) * mirrored


def _solid_pattern(rng: np.random.Generator, hit: Hit) -> Map:
    """A pattern carved from space, so that it runs over every face; values in [0, 1]."""
    x, y, z = hit.point
    kind = rng.integers(6)
    if kind == 0:  # plain
        return np.full(x.shape, rng.random(), np.float32)
    if kind == 1:  # bands across the axis
        return _edge(np.sin(z * np.float32(rng.uniform(7, 18)) + np.float32(rng.uniform(0, 6))))
    if kind == 2:  # wedges about the axis
        return _edge(np.sin(np.arctan2(y, x) * np.float32(rng.integers(3, 8))))
    if kind == 3:  # blocks
        wave, shift = np.float32(rng.uniform(5, 9)), np.float32(0.4)
        blocks = np.sin(wave * x + shift) * np.sin(wave * y + shift) * np.sin(wave * z + shift)
        return _edge(blocks * 3)
    waves = rng.normal(0, 3.2, (3, 3)).astype(np.float32)
    phases = [w[0] * x + w[1] * y + w[2] * z for w in waves]
    veins = np.sin(phases[0] + 2 * np.sin(phases[1]) + np.sin(2 * phases[2]))
    return np.asarray(veins * 0.5 + 0.5, np.float32) if kind == 4 else _edge(veins)


def _edge(wave: Map) -> Map:
    return np.asarray(np.clip(wave * 8 + 0.5, 0, 1), np.float32)


def _least_difference(normals: Matrix, light: Light) -> float:
    """Least difference of brightness between two faces turned to the camera."""
    seen = normals[normals[:, 2] > 0.2]
    bright = np.sort(np.maximum(seen @ light.direction, 0))
    return float(np.diff(bright).min()) if len(bright) > 1 else 0.0
