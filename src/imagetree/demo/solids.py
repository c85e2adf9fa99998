"""Solids in space, met by the rays of a camera: coverage, place and normal at each pixel.

Every solid lies in the unit ball about the origin. Spheres, cylinders, cones and polyhedra are
met in closed form; the torus by stepping along each ray by its distance. Colour and light are
laid on by `shading`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    Map = NDArray[np.float32]
    Matrix = NDArray[np.float64]

CAMERA_DISTANCE = 4.5
"""From the camera to the origin, in radii of the unit ball: a mild perspective."""

_MISS = np.float32(1e6)
_TINY = np.float32(1e-4)
_CUBE_FACES = np.concatenate([np.eye(3), -np.eye(3)])
_PYRAMID_BASE, _PYRAMID_TOP, _PYRAMID_HALF = -0.44, 0.66, 0.63
_PYRAMID_FACES = np.array(
    [
        [_PYRAMID_TOP - _PYRAMID_BASE, 0, _PYRAMID_HALF],
        [_PYRAMID_BASE - _PYRAMID_TOP, 0, _PYRAMID_HALF],
        [0, _PYRAMID_TOP - _PYRAMID_BASE, _PYRAMID_HALF],
        [0, _PYRAMID_BASE - _PYRAMID_TOP, _PYRAMID_HALF],
        [0, 0, -math.hypot(_PYRAMID_TOP - _PYRAMID_BASE, _PYRAMID_HALF)],
    ]
) / math.hypot(_PYRAMID_TOP - _PYRAMID_BASE, _PYRAMID_HALF)


@dataclass(frozen=True)
class Rays:
    """Lines of sight in the solid's own axes: start + depth * (steps[0], steps[1], steps[2]).

    Attributes:
        start: the camera; float64 (3,).
        steps: three maps (H, W); depth 1 is the plane through the origin.
    """

    start: Matrix
    steps: tuple[Map, Map, Map]

    def at(self, depth: Map) -> tuple[Map, Map, Map]:
        """The points at a depth along each ray."""
        x, y, z = (np.float32(s) + depth * d for s, d in zip(self.start, self.steps, strict=True))
        return x, y, z


@dataclass(frozen=True)
class Hit:
    """Where rays meet a solid; maps (H, W), in the solid's own axes.

    Attributes:
        is_met: whether the ray meets it at all; the rest is undefined where it does not.
        point: x, y, z on the surface.
        normal: unit x, y, z, outwards.
    """

    is_met: NDArray[np.bool_]
    point: tuple[Map, Map, Map]
    normal: tuple[Map, Map, Map]


def cast_rays(axes: Matrix, side: int) -> Rays:
    """Rays through a square of side x side pixels that spans [-1.06, 1.06] about the origin.

    Args:
        axes: rotation from the solid's axes to the camera's (x right, y down, z to the camera).
        side: pixels.
    """
    grid = np.linspace(-1.06, 1.06, side, dtype=np.float32)
    x, y = grid[None, :], grid[:, None]
    back = axes.astype(np.float32)
    depth = np.float32(CAMERA_DISTANCE)
    steps = tuple(back[0, i] * x + back[1, i] * y - back[2, i] * depth for i in range(3))
    return Rays(start=axes[2] * CAMERA_DISTANCE, steps=(steps[0], steps[1], steps[2]))


def look_from(tilt: float, spin: float, roll: float) -> Matrix:
    """Rotation of a solid whose z axis stands `tilt` from the line of sight; radians.

    Args:
        tilt: between the solid's z axis and the direction to the camera: 0 looks at its top.
        spin: of the solid about its own z axis.
        roll: of the picture.
    """
    return _about_z(roll) @ _about_x(tilt) @ _about_z(spin)


def _sphere(rays: Rays) -> Hit:
    squared = _squared_length(rays.steps)
    mixed = _dot(rays.start, rays.steps)
    root = mixed * mixed - squared * np.float32(rays.start @ rays.start - 1)
    point = rays.at((-mixed - np.sqrt(np.maximum(root, 0))) / squared)
    return Hit(root > 0, point, point)


def _cube(rays: Rays) -> Hit:
    return _polyhedron(rays, _CUBE_FACES, np.full(6, 1 / math.sqrt(3)))


def _pyramid(rays: Rays) -> Hit:
    """A square base and four sides that meet in an apex over its middle."""
    offsets = _PYRAMID_FACES[:, 2] * np.array([_PYRAMID_TOP] * 4 + [_PYRAMID_BASE])
    return _polyhedron(rays, _PYRAMID_FACES, offsets)


def _polyhedron(rays: Rays, normals: Matrix, offsets: Matrix) -> Hit:
    """The convex body of all points p with normal . p <= offset for every face."""
    shape = rays.steps[0].shape
    enter, leave = np.full(shape, -_MISS), np.full(shape, _MISS)
    face = np.zeros(shape, np.uint8)
    for index, (normal, offset) in enumerate(zip(normals, offsets, strict=True)):
        speed = _dot(normal, rays.steps)
        depth = np.float32(offset - normal @ rays.start) / speed
        is_front = speed < 0
        is_later = is_front & (depth > enter)
        face[is_later] = index
        np.copyto(enter, depth, where=is_later)
        np.minimum(leave, np.where(is_front, _MISS, depth), out=leave)
    x, y, z = normals.astype(np.float32).T
    return Hit(enter < leave, rays.at(enter), (x[face], y[face], z[face]))


def _cylinder(rays: Rays) -> Hit:
    radius, half = 0.6, 0.74
    near, far, is_met = _round_side(rays, radius, 0.0, 0.0)
    top, bottom = _plane_depths(rays, half, -half)
    enter = np.maximum(near, np.minimum(top, bottom))
    is_met &= enter < np.minimum(far, np.maximum(top, bottom))
    x, y, z = point = rays.at(enter)
    is_cap = np.abs(z) > half - 1e-3
    inverse = np.float32(1 / radius)
    flat = np.sign(z) * is_cap
    is_side = ~is_cap
    return Hit(is_met, point, (x * inverse * is_side, y * inverse * is_side, flat))


def _cone(rays: Rays) -> Hit:
    """A disc below, an apex above: slender, where the pyramid is squat."""
    base, top, radius = -0.82, 0.95, 0.55
    slope = radius / (top - base)
    near, far, is_real = _round_side(rays, 0.0, slope, top)
    best = np.full(near.shape, _MISS)
    for depth in (near, far):
        height = np.float32(rays.start[2]) + depth * rays.steps[2]
        is_side = is_real & (height >= base) & (height <= top)
        best = np.where(is_side, np.minimum(best, depth), best)
    floor = _plane_depths(rays, base, base)[0]
    x, y = rays.at(floor)[:2]
    is_floor = (x * x + y * y <= radius**2) & (floor < best)
    point = rays.at(np.where(is_floor, floor, best).astype(np.float32, copy=False))
    x, y = point[:2]
    steep = np.float32(1 / math.hypot(1, slope))
    outward = np.where(is_floor, np.float32(0), steep) / _from_axis(x, y)
    upward = np.where(is_floor, np.float32(-1), np.float32(slope) * steep)
    normal = (x * outward, y * outward, upward)
    return Hit(is_floor | (best < _MISS), point, _as_maps(normal))


def _torus(rays: Rays) -> Hit:
    """A ring about the z axis; rays step by their distance to it until they touch or pass."""
    ring, tube = 0.68, 0.31
    lengths = np.sqrt(_squared_length(rays.steps)).ravel()
    steps = [np.ravel(d) / lengths for d in rays.steps]
    depth = np.full(lengths.shape, CAMERA_DISTANCE - 1.05, np.float32)
    active = np.arange(len(depth))
    for _ in range(22):
        near = Rays(rays.start, _as_maps(step[active] for step in steps))
        x, y, z = near.at(depth[active])
        gap = np.hypot(_from_axis(x, y) - np.float32(ring), z) - np.float32(tube)
        depth[active] += gap
        active = active[(gap > 3e-3) & (depth[active] < CAMERA_DISTANCE + 1.05)]
    is_met = depth < CAMERA_DISTANCE + 1.05
    is_met[active] = False
    shape = rays.steps[0].shape
    x, y, z = point = rays.at(np.asarray(depth / lengths, np.float32).reshape(shape))
    inward = (1 - np.float32(ring) / _from_axis(x, y)) / np.float32(tube)
    return Hit(is_met.reshape(shape), point, (x * inward, y * inward, z / np.float32(tube)))


def _round_side(
    rays: Rays, radius: float, slope: float, top: float
) -> tuple[Map, Map, NDArray[np.bool_]]:
    """Both depths at which a ray meets the surface |xy| = radius + slope * (top - z)."""
    (sx, sy, sz), (dx, dy, dz) = (s.astype(np.float32) for s in rays.start), rays.steps
    width = np.float32(radius) + np.float32(slope) * (np.float32(top) - sz)
    narrowing = np.float32(slope) * dz
    squared = dx * dx + dy * dy - narrowing * narrowing
    mixed = sx * dx + sy * dy + width * narrowing
    root = mixed * mixed - squared * (sx * sx + sy * sy - width * width)
    half = np.sqrt(np.maximum(root, 0))
    one, other = (-mixed - half) / squared, (-mixed + half) / squared
    return np.minimum(one, other), np.maximum(one, other), root > 0


def _plane_depths(rays: Rays, top: float, bottom: float) -> tuple[Map, Map]:
    """Depths at which a ray meets two planes of constant z."""
    start = np.float32(rays.start[2])
    return (np.float32(top) - start) / rays.steps[2], (np.float32(bottom) - start) / rays.steps[2]


@dataclass(frozen=True)
class Solid:
    """How a solid is met, and the views from which nobody takes it for another.

    Attributes:
        meet: from rays to hits.
        tilts: least and greatest angle from the solid's z axis to the camera, degrees.
        spins: least and greatest turn about that axis, degrees.
        faces: normals of its flat faces, float64 (faces, 3); None for a round solid.
    """

    meet: Callable[[Rays], Hit]
    tilts: tuple[float, float]
    spins: tuple[float, float]
    faces: Matrix | None = None


SOLIDS = {
    "cube": Solid(_cube, tilts=(46, 62), spins=(28, 62), faces=_CUBE_FACES),
    "pyramid": Solid(_pyramid, tilts=(50, 68), spins=(26, 64), faces=_PYRAMID_FACES),
    "cylinder": Solid(_cylinder, tilts=(40, 70), spins=(0, 360)),
    "cone": Solid(_cone, tilts=(58, 122), spins=(0, 360)),
    "sphere": Solid(_sphere, tilts=(0, 180), spins=(0, 360)),
    "torus": Solid(_torus, tilts=(18, 62), spins=(0, 360)),
}
"""Each solid by its lemma in `tree.FIGURES`."""


def _as_maps(three: Iterable[NDArray[np.floating]]) -> tuple[Map, Map, Map]:
    x, y, z = (np.asarray(values, np.float32) for values in three)
    return x, y, z


def _dot(vector: Matrix, maps: tuple[Map, Map, Map]) -> Map:
    a, b, c = vector.astype(np.float32)
    return np.asarray(a * maps[0] + b * maps[1] + c * maps[2], np.float32)


def _squared_length(maps: tuple[Map, Map, Map]) -> Map:
    return np.asarray(maps[0] * maps[0] + maps[1] * maps[1] + maps[2] * maps[2], np.float32)


def _from_axis(x: Map, y: Map) -> Map:
    """Distance from the z axis, never quite zero."""
    return np.asarray(np.maximum(np.hypot(x, y), _TINY), np.float32)


def _about_z(angle: float) -> Matrix:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def _about_x(angle: float) -> Matrix:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
